"""Buffers on a GPU, and pinned ones of the host through which they are copied."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt_serve.engines.cuda import Cuda


class Memory:
    """Buffers by name; they are kept, and replaced where a larger one is wanted."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._gpu: dict[str, tuple[int, int]] = {}  # address and bytes
        self._host: dict[str, NDArray[np.uint8]] = {}

    def on_gpu(self, name: str, size: int) -> int:
        """Return the address of at least `size` bytes on the GPU, 0 for none."""
        address, held = self._gpu.get(name, (0, 0))
        if held < size:
            if held:
                self._cuda.free(self._gpu.pop(name)[0])
            address = self._cuda.allocate(size)
            self._gpu[name] = address, size
        return address

    def on_host(self, name: str, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
        """Return a pinned array of the host."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        if name not in self._host or self._host[name].nbytes < size:
            if name in self._host:
                self._cuda.unpin(self._host.pop(name))
            self._host[name] = self._cuda.pin(size)
        view: NDArray[Any] = self._host[name][:size].view(kind).reshape(shape)
        return view

    def free(self) -> None:
        """Free all buffers."""
        while self._gpu:
            self._cuda.free(self._gpu.popitem()[1][0])
        while self._host:
            self._cuda.unpin(self._host.popitem()[1])
