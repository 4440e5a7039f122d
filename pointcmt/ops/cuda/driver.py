"""Loading compiled kernels and launching them, with NVIDIA's driver through its C interface."""

import ctypes
import functools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pointcmt.ops.cuda.nvrtc import KERNELS, Defines, compile_kernel

_MAX_SHARED_BYTES_OPTIN = 97  # CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
_MAX_DYNAMIC_SHARED_BYTES = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
Scalar = ctypes.c_int | ctypes.c_longlong | ctypes.c_float


@dataclass(frozen=True)
class Launch:
    """Which kernel runs, how it is compiled and on how many threads.

    Attributes:
        kernel: the function's name.
        defines: what it is compiled with.
        blocks: in the grid, at least 1.
        threads: in a block, a multiple of 32.
        shared_bytes: of dynamic shared memory a block.
        source: the file that holds the function, the one of its name in `KERNELS` unless said.
    """

    kernel: str
    defines: Defines
    blocks: int
    threads: int
    shared_bytes: int = 0
    source: Path | None = None

    @property
    def file(self) -> Path:
        """The file that holds the function."""
        return self.source or KERNELS / f"{self.kernel}.cu"


def launch(
    how: Launch, reads: Sequence[Tensor], writes: Sequence[Tensor], scalars: Sequence[Scalar]
) -> None:
    """Start a kernel on torch's current stream and return without waiting for it.

    Args:
        how: the kernel and its launch configuration.
        reads: contiguous tensors of one GPU, the kernel's first arguments.
        writes: contiguous tensors of that GPU, its next arguments.
        scalars: its last arguments.

    Raises:
        RuntimeError: the kernel cannot be compiled, loaded or launched.
    """
    device = (writes or reads)[0].device
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (*reads, *writes)]
    values = [*pointers, *scalars]
    arguments = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    stream = ctypes.c_void_p(torch.cuda.current_stream(device).cuda_stream)
    with _context(device.index):
        function = _function(device.index, how.file, how.kernel, how.defines)
        _check(
            _library().cuLaunchKernel(
                *(function, how.blocks, 1, 1, how.threads, 1, 1),
                *(how.shared_bytes, stream, arguments, None),
            )
        )


@functools.cache
def shared_limit(device: torch.device) -> int:
    """The most bytes of shared memory a block may ask for."""
    size = ctypes.c_int()
    _check(
        _library().cuDeviceGetAttribute(
            ctypes.byref(size), _MAX_SHARED_BYTES_OPTIN, _handle(device.index)
        )
    )
    return size.value


@functools.cache
def _function(index: int, file: Path, kernel: str, defines: Defines) -> ctypes.c_void_p:
    image = compile_kernel(file, defines, torch.cuda.get_device_capability(index))
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    driver = _library()
    _check(driver.cuModuleLoadData(ctypes.byref(module), image))
    _check(driver.cuModuleGetFunction(ctypes.byref(function), module, kernel.encode()))
    limit = shared_limit(torch.device("cuda", index))
    _check(driver.cuFuncSetAttribute(function, _MAX_DYNAMIC_SHARED_BYTES, limit))
    return function


@contextmanager
def _context(index: int) -> Iterator[None]:
    """Make the context that torch uses current; a thread that never called CUDA has none."""
    _check(_library().cuCtxPushCurrent_v2(_primary_context(index)))
    try:
        yield
    finally:
        _check(_library().cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p())))


@functools.cache
def _primary_context(index: int) -> ctypes.c_void_p:
    context = ctypes.c_void_p()
    _check(_library().cuDevicePrimaryCtxRetain(ctypes.byref(context), _handle(index)))
    return context


@functools.cache
def _handle(index: int) -> ctypes.c_int:
    device = ctypes.c_int()
    _check(_library().cuDeviceGet(ctypes.byref(device), index))
    return device


def _check(result: int) -> None:
    if result:
        name = ctypes.c_char_p()
        _library().cuGetErrorName(result, ctypes.byref(name))
        raise RuntimeError(f"the CUDA driver failed: {(name.value or b'unknown error').decode()}")


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
