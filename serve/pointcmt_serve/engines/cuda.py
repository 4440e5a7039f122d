"""Memory and streams of a GPU, by NVIDIA's `cuda-bindings`.

It is the smallest of the libraries without torch that do this: the CUDA runtime and nothing else,
whose version 12 works with any driver since, and whose handles TensorRT takes as they are.
`cuda-core` builds on it and CuPy is a library of arrays; neither would save a line here.
"""

import ctypes
import importlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

MODULE = "cuda.bindings.runtime"


class Cuda:
    """One GPU.

    Attributes:
        index: its number.
        name: as the driver calls it; None where there is no such GPU.
    """

    def __init__(self, index: int) -> None:
        """Look for the GPU number `index`, from 0.

        Raises:
            ImportError: `cuda-bindings` is not installed.
            InputError: the GPU's driver is too old for it, or there are GPUs, but not so many.
        """
        self._api = importlib.import_module(MODULE)
        self.index = index
        self.name = self._find()

    def _find(self) -> str | None:
        errors = self._api.cudaError_t
        status, count = self._api.cudaGetDeviceCount()
        if status == errors.cudaErrorInsufficientDriver:
            self._require_no_driver()
        if status != errors.cudaSuccess or not count:
            return None
        if self.index >= count:
            raise InputError(f"there is no GPU number {self.index}; the last one is {count - 1}")
        described = self._call(self._api.cudaGetDeviceProperties, self.index)
        name = described.name
        return name.decode() if isinstance(name, bytes) else str(name)

    def _require_no_driver(self) -> None:
        version = self._call(self._api.cudaDriverGetVersion)  # 0 where there is none
        if version:
            raise InputError(
                f"the GPU's driver knows CUDA {version // 1000}.{version % 1000 // 10}, "
                "which is too old for cuda-bindings; update the driver"
            )

    def use(self) -> None:
        """Let what this thread calls next go to this GPU."""
        self._call(self._api.cudaSetDevice, self.index)

    def make_stream(self) -> Any:
        """Return a new stream; `int()` of it is its handle.

        It does not wait for the legacy stream, whose use by others would end a recording.
        """
        return self._call(self._api.cudaStreamCreateWithFlags, self._api.cudaStreamNonBlocking)

    def free_stream(self, stream: Any) -> None:
        """Destroy a stream."""
        self._call(self._api.cudaStreamDestroy, stream)

    def allocate(self, size: int) -> int:
        """Return the address of `size` new bytes on the GPU."""
        return int(self._call(self._api.cudaMalloc, size))

    def free(self, address: int) -> None:
        """Free what `allocate` gave."""
        self._call(self._api.cudaFree, address)

    def pin(self, size: int) -> NDArray[np.uint8]:
        """Return `size` new bytes of the host that the GPU copies from and to by itself."""
        address = int(self._call(self._api.cudaMallocHost, size))
        return np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(address))

    def unpin(self, values: NDArray[np.uint8]) -> None:
        """Free what `pin` gave."""
        self._call(self._api.cudaFreeHost, values.ctypes.data)

    def copy_in(self, address: int, values: NDArray[Any], stream: Any) -> None:
        """Copy a contiguous pinned array to the GPU; it is read until the stream was waited for."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        source = values.ctypes.data
        self._call(self._api.cudaMemcpyAsync, address, source, values.nbytes, kind, stream)

    def copy_out(self, address: int, values: NDArray[Any], stream: Any) -> None:
        """Fill a contiguous pinned array from the GPU, until the stream was waited for."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        target = values.ctypes.data
        self._call(self._api.cudaMemcpyAsync, target, address, values.nbytes, kind, stream)

    def wait(self, stream: Any) -> None:
        """Wait until all that was given to a stream is done."""
        self._call(self._api.cudaStreamSynchronize, stream)

    def record(self, work: Callable[[], None], stream: Any) -> Any:
        """Return a graph of what `work` gives to a stream; none of it is done.

        Raises:
            InputError, RuntimeError: `work` fails, or does what cannot be recorded.
        """
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call(self._api.cudaStreamBeginCapture, stream, mode)
        with ExitStack() as after:
            try:
                work()
            finally:  # without its end the stream could not be used again
                status, graph = self._api.cudaStreamEndCapture(stream)
                if status == self._api.cudaError_t.cudaSuccess:
                    after.callback(self._call, self._api.cudaGraphDestroy, graph)
            self._require(status)
            return self._call(self._api.cudaGraphInstantiate, graph, 0)

    def replay(self, graph: Any, stream: Any) -> None:
        """Give a stream what a graph recorded."""
        self._call(self._api.cudaGraphLaunch, graph, stream)

    def free_graph(self, graph: Any) -> None:
        """Destroy what `record` gave."""
        self._call(self._api.cudaGraphExecDestroy, graph)

    def _call(self, function: Any, *arguments: Any) -> Any:
        status, *results = function(*arguments)
        self._require(status)
        return results[0] if results else None

    def _require(self, status: Any) -> None:
        if status != self._api.cudaError_t.cudaSuccess:
            raise InputError(f"the GPU failed ({getattr(status, 'name', status)})")
