"""Loading compiled kernels and launching them, by NVIDIA's `cuda-bindings`."""

import ctypes
import functools
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pointcmt.kernels.calls import Launch, Scalar
from pointcmt.kernels.nvrtc import Defines, compile_kernel

MODULE = "cuda.bindings.driver"


def available() -> bool:
    """Whether `cuda-bindings` is installed."""
    try:
        return bool(_api())
    except ImportError:
        return False


def launch(
    how: Launch, gpu: int, stream: int, arrays: Sequence[int], scalars: Sequence[Scalar]
) -> None:
    """Start a kernel and return without waiting for it.

    Args:
        how: the kernel and its launch configuration.
        gpu: which GPU, from 0.
        stream: the handle of a stream of that GPU.
        arrays: addresses on that GPU, the kernel's first arguments.
        scalars: its last arguments.

    Raises:
        RuntimeError: the kernel cannot be compiled, loaded or launched.
    """
    values = (*arrays, *(scalar.value for scalar in scalars))
    kinds = (*(ctypes.c_void_p for _ in arrays), *map(type, scalars))
    function = load(how, gpu)
    with _context(gpu):
        _call(
            *("cuLaunchKernel", function, how.blocks, 1, 1, how.threads, 1, 1),
            *(how.shared_bytes, stream, (values, kinds), 0),
        )


def load(how: Launch, gpu: int) -> Any:
    """Compile a kernel for a GPU and load it there, unless that was done; return its handle.

    Raises:
        RuntimeError: the kernel cannot be compiled or loaded.
    """
    return _loaded(gpu, how.kernel, how.defines, how.source)


@functools.cache
def shared_limit(gpu: int) -> int:
    """The most bytes of shared memory a block may ask for."""
    return _attribute(gpu, "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN")


@functools.cache
def _loaded(gpu: int, kernel: str, defines: Defines, source: Path | None) -> Any:
    file = Launch(kernel, defines, 1, 32, source=source).file
    capability = (
        _attribute(gpu, "COMPUTE_CAPABILITY_MAJOR"),
        _attribute(gpu, "COMPUTE_CAPABILITY_MINOR"),
    )
    image = compile_kernel(file, defines, capability)
    most = _api().CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    with _context(gpu):
        module = _call("cuModuleLoadData", image)
        function = _call("cuModuleGetFunction", module, kernel.encode())
        _call("cuFuncSetAttribute", function, most, shared_limit(gpu))
    return function


@contextmanager
def _context(gpu: int) -> Iterator[None]:
    """Make the context current that torch and the CUDA runtime use; a new thread has none."""
    _call("cuCtxPushCurrent", _primary_context(gpu))
    try:
        yield
    finally:
        _call("cuCtxPopCurrent")


@functools.cache
def _primary_context(gpu: int) -> Any:
    return _call("cuDevicePrimaryCtxRetain", _call("cuDeviceGet", gpu))


def _attribute(gpu: int, name: str) -> int:
    kind = getattr(_api().CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
    return int(_call("cuDeviceGetAttribute", kind, _call("cuDeviceGet", gpu)))


def _call(name: str, *arguments: Any) -> Any:
    status, *results = getattr(_api(), name)(*arguments)
    if status != _api().CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"the CUDA driver failed: {getattr(status, 'name', status)}")
    return results[0] if results else None


def _api() -> Any:
    return sys.modules.get(MODULE) or importlib.import_module(MODULE)  # the first is a lookup
