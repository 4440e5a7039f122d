"""What launching kernels calls of CUDA's driver, on the made-up GPU of `fake_tensorrt`.

A kernel runs in the emulator when its stream's turn comes, on the memory that was there then.
"""

import ctypes
import enum
import functools
import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from pointcmt.kernels import driver
from pointcmt.kernels.calls import Launch
from pointcmt.kernels.nvrtc import Defines
from tests.ops.cuda.emulation import Emulator, require_compiler
from tests.reference.fake_tensorrt import FakeCuda

SHARED = 96 * 1024
CAPABILITY = (7, 0)


class Result(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_INVALID_HANDLE = 400
    CUDA_ERROR_ILLEGAL_ADDRESS = 700


class Launched(NamedTuple):
    """A launch as the driver was told it."""

    how: Launch
    stream: int
    arrays: tuple[int, ...]
    scalars: tuple[Any, ...]


def image(file: Path, defines: Defines, capability: tuple[int, int]) -> bytes:
    """What stands for a compiled kernel: which one it is."""
    assert capability == CAPABILITY
    return json.dumps([str(file), defines]).encode()


class FakeDriver:
    """The module `cuda.bindings.driver`, on GPUs whose memory and streams the runtime made."""

    CUresult = Result
    CUfunction_attribute = SimpleNamespace(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES=8)
    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN=SHARED,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=CAPABILITY[0],
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=CAPABILITY[1],
    )

    def __init__(self, cuda: FakeCuda, emulator: Emulator) -> None:
        self.cuda, self.emulator = cuda, emulator
        self.launched: list[Launched] = []
        self._current = threading.local()
        self._lock = threading.Lock()  # the emulator is one device

    def cuDeviceGet(self, index: int) -> tuple[Any, ...]:  # noqa: N802
        return Result.CUDA_SUCCESS, index

    def cuDeviceGetAttribute(self, kind: int, device: int) -> tuple[Any, ...]:  # noqa: N802
        return Result.CUDA_SUCCESS, kind

    def cuDevicePrimaryCtxRetain(self, device: int) -> tuple[Any, ...]:  # noqa: N802
        return Result.CUDA_SUCCESS, f"context of {device}"

    def cuCtxPushCurrent(self, context: str) -> tuple[Any, ...]:  # noqa: N802
        self._contexts().append(context)
        return (Result.CUDA_SUCCESS,)

    def cuCtxPopCurrent(self) -> tuple[Any, ...]:  # noqa: N802
        return Result.CUDA_SUCCESS, self._contexts().pop()

    def cuModuleLoadData(self, content: bytes) -> tuple[Any, ...]:  # noqa: N802
        file, defines = json.loads(content)
        return Result.CUDA_SUCCESS, (Path(file), tuple(map(tuple, defines)), self._contexts()[-1])

    def cuModuleGetFunction(self, module: Any, name: bytes) -> tuple[Any, ...]:  # noqa: N802
        file, defines, context = module
        how = Launch(name.decode(), defines, 1, 32, source=file)
        return Result.CUDA_SUCCESS, SimpleNamespace(how=how, context=context)

    def cuFuncSetAttribute(self, function: Any, kind: int, size: int) -> tuple[Any, ...]:  # noqa: N802
        good = (kind, size) == (8, SHARED)
        return (Result.CUDA_SUCCESS if good else Result.CUDA_ERROR_INVALID_VALUE,)

    def cuLaunchKernel(  # noqa: N802
        self, function: Any, *rest: Any
    ) -> tuple[Any, ...]:
        blocks, _, _, threads, _, _, shared, stream, (values, kinds), extra = rest
        how = replace(function.how, blocks=blocks, threads=threads, shared_bytes=shared)
        queue = self.cuda.streams.get(stream)
        if extra or queue is None or function.context != self._contexts()[-1]:
            return (Result.CUDA_ERROR_INVALID_HANDLE,)
        arrays = tuple(v for v, kind in zip(values, kinds, strict=True) if kind is ctypes.c_void_p)
        scalars = tuple(kind(v) for v, kind in list(zip(values, kinds, strict=True))[len(arrays) :])
        homes = {self.cuda.allocated.get(address, (None,))[0] for address in arrays if address}
        if homes != {queue.device} or function.context != f"context of {queue.device}":
            return (Result.CUDA_ERROR_ILLEGAL_ADDRESS,)
        self.launched.append(Launched(how, stream, arrays, tuple(s.value for s in scalars)))
        queue.put(lambda: self._run(how, arrays, scalars))
        return (Result.CUDA_SUCCESS,)

    def _run(self, how: Launch, arrays: tuple[int, ...], scalars: tuple[Any, ...]) -> None:
        held = [self.cuda.allocated[a][1] if a else (ctypes.c_ubyte * 0)() for a in arrays]
        places = [(ctypes.addressof(content), len(content)) for content in held]
        with self._lock:
            self.emulator.run(how, places, 0, scalars)

    def _contexts(self) -> list[str]:
        """The contexts that are current on this thread, the innermost last."""
        if not hasattr(self._current, "contexts"):
            self._current.contexts = []
        found: list[str] = self._current.contexts
        return found


def install_driver(patch: pytest.MonkeyPatch, cuda: FakeCuda, folder: Path) -> FakeDriver:
    """Let kernels be launched on a made-up GPU; skips where nothing compiles them.

    Args:
        patch: undoes it.
        cuda: the GPU.
        folder: where compiled kernels are kept.
    """
    require_compiler()
    fake = FakeDriver(cuda, Emulator(folder, fresh=False))
    patch.setitem(sys.modules, driver.MODULE, fake)  # type: ignore[arg-type]
    patch.setattr(driver, "compile_kernel", image)
    for name in ("_loaded", "_primary_context", "shared_limit"):  # with caches of their own
        patch.setattr(driver, name, functools.cache(getattr(driver, name).__wrapped__))
    return fake
