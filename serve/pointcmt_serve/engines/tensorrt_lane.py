"""Running a TensorRT engine: a context with its stream and buffers."""

import weakref
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.kernels import driver
from pointcmt.kernels.calls import Call
from pointcmt_serve.device_indices import Work, plan_work
from pointcmt_serve.engines.cuda import Cuda
from pointcmt_serve.engines.memory import Memory
from pointcmt_serve.engines.session import LOGITS, POINTS
from pointcmt_serve.engines.tensorrt_graphs import Graph
from pointcmt_serve.engines.tensorrt_plan import PROFILE, Arrays, Plan
from pointcmt_serve.host_indices import Step


class Lane:
    """An execution context with its stream and a buffer for each input and output.

    Args:
        plan: the engine.
        cuda: its GPU.
        steps: the index inputs that are computed on the GPU; others are loaded as points are.
    """

    def __init__(self, plan: Plan, cuda: Cuda, steps: Sequence[Step] = ()) -> None:
        self._plan, self._cuda, self._steps = plan, cuda, steps
        self._memory = Memory(cuda)
        self._made: dict[str, tuple[int, ...]] = {}  # shapes of what the GPU computes
        self._launches: list[tuple[Call, tuple[int, ...]]] = []
        self._places: dict[str, tuple[int, tuple[int, ...]]] = {}  # of inputs and outputs
        self._context = plan.make_context()
        self._stream = cuda.make_stream()
        self._graph = Graph(cuda, self._stream)
        # Only an engine's first context has a profile from the beginning.
        if not self._context.set_optimization_profile_async(PROFILE, int(self._stream)):
            self.close()
            raise InputError("the engine's profile could not be set")

    def run(self, inputs: Arrays, wanted: Sequence[str]) -> Arrays:
        """Return the wanted outputs and computed indices for inputs within the profile.

        Raises:
            InputError: the engine refuses a shape, or fails.
            RuntimeError: a kernel cannot be launched.
        """
        self.load(inputs)
        self.execute()
        return self.read(wanted)

    def load(self, inputs: Arrays) -> None:
        """Begin to copy the inputs to the GPU."""
        for name, values in inputs.items():
            held = self._memory.on_host(name, values.shape, self._plan.types[name])
            np.copyto(held, values)
            self._cuda.copy_in(self._input(name, values.shape), held, self._stream)
        work = plan_work(self._steps, inputs[POINTS].shape)
        self._launches = [(each.call, self._arrays(each)) for each in work]
        self._made = {each.makes: each.shape for each in work}
        for name in self._plan.outputs:
            self._made[name] = tuple(self._context.get_tensor_shape(name))
            self._bound(name, self._made[name])

    def execute(self) -> None:
        """Begin to compute; what is computed again in the same place is launched as one graph."""
        launched = tuple(arrays for _, arrays in self._launches)
        self._graph.begin((tuple(self._places.items()), launched), self._compute)

    def _compute(self) -> None:
        for call, arrays in self._launches:
            driver.launch(call.how, self._cuda.index, int(self._stream), arrays, call.scalars)
        if not self._context.execute_async_v3(int(self._stream)):
            raise InputError(f"the engine failed ({self._plan.reason('no reason given')})")

    def wait(self) -> None:
        """Wait for all that was begun."""
        self._cuda.wait(self._stream)

    def read(self, wanted: Sequence[str]) -> Arrays:
        """Return outputs and computed indices, after waiting for them."""
        types, held = self._plan.types, Arrays()
        for name in wanted:
            held[name] = self._memory.on_host(name, self._made[name], types[name])
            address = self._memory.on_gpu(name, held[name].nbytes)
            self._cuda.copy_out(address, held[name], self._stream)
        self.wait()
        return {name: values.copy() for name, values in held.items()}

    def _arrays(self, work: Work) -> tuple[int, ...]:
        """Return the addresses of a launch's arrays, in the order of the kernel's arguments."""
        arrays = [self._memory.on_gpu(name, 0) for name in work.reads]
        if work.makes in self._plan.types:
            arrays.append(self._input(work.makes, work.shape))
        else:
            arrays.append(self._memory.on_gpu(work.makes, work.size))
        if work.call.workspace is not None:
            arrays.append(self._memory.on_gpu(f"{work.makes} workspace", work.call.workspace))
        return tuple(arrays)

    def _input(self, name: str, shape: tuple[int, ...]) -> int:
        """Tell the context an input's shape and place; return its address on the GPU."""
        known = self._places.get(name, (0, ()))[1]
        if known != shape and not self._context.set_input_shape(name, shape):
            raise InputError(f"the engine takes no {name} of shape {shape}")
        return self._bound(name, shape)

    def _bound(self, name: str, shape: tuple[int, ...]) -> int:
        """Return the address on the GPU of a tensor of this shape, which the context knows."""
        size = int(np.prod(shape)) * np.dtype(self._plan.types[name]).itemsize
        address = self._memory.on_gpu(name, size)
        if self._places.get(name, (0, ()))[0] != address:  # setting it again would end the graph
            self._context.set_tensor_address(name, address)
        self._places[name] = address, shape
        return address

    def close(self) -> None:
        """Free the buffers and the stream."""
        self._cuda.use()
        self._graph.free()
        self._memory.free()
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
