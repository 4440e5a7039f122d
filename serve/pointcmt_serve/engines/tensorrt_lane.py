"""Running a TensorRT engine: a context with its stream and buffers."""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.engines.cuda import Cuda
from pointcmt_serve.engines.session import LOGITS

if TYPE_CHECKING:
    from pointcmt_serve.engines.tensorrt_plan import Plan

PROFILE = 0  # the one with which pointcmt-export builds
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Buffer:
    """Bytes on the GPU, and as many pinned ones of the host, through which they are copied."""

    address: int
    host: NDArray[np.uint8]

    def view(self, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
        """Return the first of the host's bytes as an array."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        view: NDArray[Any] = self.host[:size].view(kind).reshape(shape)
        return view


class Lane:
    """An execution context with its stream and a buffer for each input and output."""

    def __init__(self, plan: "Plan", cuda: Cuda) -> None:
        self._plan = plan
        self._cuda = cuda
        self._buffers: dict[str, Buffer] = {}
        self._made: dict[str, tuple[int, ...]] = {}
        self._context = plan.engine.create_execution_context()
        self._stream = cuda.make_stream()
        # Only an engine's first context has a profile from the beginning.
        if not self._context.set_optimization_profile_async(PROFILE, int(self._stream)):
            self.close()
            raise InputError("the engine's profile could not be set")

    def run(self, inputs: Arrays, wanted: Sequence[str]) -> Arrays:
        """Return the wanted outputs for inputs within the profile.

        Raises:
            InputError: the engine refuses a shape, or fails.
        """
        self.load(inputs)
        self.execute()
        return self.read(wanted)

    def load(self, inputs: Arrays) -> None:
        """Begin to copy the inputs to the GPU."""
        for name, values in inputs.items():
            if not self._context.set_input_shape(name, values.shape):
                raise InputError(f"the engine takes no {name} of shape {values.shape}")
            held = self._place(name, values.shape)
            np.copyto(held, values)
            self._cuda.copy_in(self._buffers[name].address, held, self._stream)
        self._made = {n: tuple(self._context.get_tensor_shape(n)) for n in self._plan.outputs}
        for name, shape in self._made.items():
            self._place(name, shape)

    def execute(self) -> None:
        """Begin to compute."""
        if not self._context.execute_async_v3(int(self._stream)):
            raise InputError("the engine failed")

    def wait(self) -> None:
        """Wait for all that was begun."""
        self._cuda.wait(self._stream)

    def read(self, wanted: Sequence[str]) -> Arrays:
        """Return outputs, after waiting for them."""
        held = {name: self._place(name, self._made[name]) for name in wanted}
        for name, values in held.items():
            self._cuda.copy_out(self._buffers[name].address, values, self._stream)
        self.wait()
        return {name: values.copy() for name, values in held.items()}

    def _place(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the host's array for a tensor of this shape; its GPU buffer the context knows."""
        kind, held = self._plan.types[name], self._buffers.get(name)
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        if held is None or held.host.nbytes < size:
            self._free(name)
            held = Buffer(self._cuda.allocate(size), self._cuda.pin(size))
            self._buffers[name] = held
            self._context.set_tensor_address(name, held.address)
        return held.view(shape, kind)

    def _free(self, name: str) -> None:
        held = self._buffers.pop(name, None)
        if held is not None:
            self._cuda.free(held.address)
            self._cuda.unpin(held.host)

    def close(self) -> None:
        """Free the buffers and the stream."""
        self._cuda.use()
        for name in list(self._buffers):
            self._free(name)
        self._cuda.free_stream(self._stream)


class Staged:
    """Clouds on the GPU, to be computed again without copies; when it goes, its lanes are free."""

    def __init__(
        self, lanes: "Sequence[Lane]", give_back: Callable[[Sequence[Lane]], None]
    ) -> None:
        self._lanes = lanes
        weakref.finalize(self, give_back, lanes)

    def run(self) -> "Staged":
        """Compute, and return when it is done."""
        for lane in self._lanes:
            lane.execute()
        for lane in self._lanes:
            lane.wait()
        return self

    def fetch(self) -> NDArray[np.float32]:
        """Return the logits (B, K)."""
        parts = [lane.read((LOGITS,))[LOGITS] for lane in self._lanes]
        return np.concatenate(parts).astype(np.float32)
