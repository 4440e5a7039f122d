"""What serving calls of TensorRT and of the CUDA runtime, on a made-up GPU of the host's memory.

Nothing happens before the stream is waited for, as on a GPU; what a GPU would refuse or crash on
returns an error.
"""

import ctypes
import enum
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

GPU = "NVIDIA Fake 1"
VERSION = "10.4.0"
PLAN = b"a plan"
FIRST_ADDRESS = 1 << 50


class Status(enum.IntEnum):
    cudaSuccess = 0  # noqa: N815
    cudaErrorInvalidValue = 1  # noqa: N815
    cudaErrorMemoryAllocation = 2  # noqa: N815
    cudaErrorInsufficientDriver = 35  # noqa: N815
    cudaErrorNoDevice = 100  # noqa: N815
    cudaErrorStreamCaptureUnsupported = 900  # noqa: N815
    cudaErrorStreamCaptureInvalidated = 901  # noqa: N815


class Direction(enum.IntEnum):
    cudaMemcpyHostToDevice = 1  # noqa: N815
    cudaMemcpyDeviceToHost = 2  # noqa: N815


Work = Callable[[], None]


class Stream:
    """A queue of work; its handle is its number. One that is blocking waits for the legacy one."""

    def __init__(self, number: int, device: int, blocking: bool) -> None:
        self.number, self.device, self.blocking = number, device, blocking
        self.queue: list[Work] = []
        self.captured: list[Work] | None = None
        self.invalidated = False

    def __int__(self) -> int:
        return self.number

    def put(self, work: Work) -> None:
        """Queue some work, or keep it for a graph."""
        (self.queue if self.captured is None else self.captured).append(work)


class FakeCuda:
    """The module `cuda.bindings.runtime`; `calls` holds the names of the functions called.

    `driver` is the newest CUDA that the driver knows, as 1000 * major + 10 * minor; 0 for none.
    """

    driver = 12040

    cudaError_t = Status  # noqa: N815
    cudaMemcpyKind = Direction  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815
    cudaStreamNonBlocking = 1  # noqa: N815

    def __init__(self, gpus: int = 1, memory: int = 1 << 30) -> None:
        self._gpus, self._memory = gpus, memory
        self._numbers = itertools.count(1)  # several threads take from it
        self._thread = threading.local()
        self.allocated: dict[int, tuple[int, Any]] = {}  # address: device, bytes
        self.pinned: dict[int, Any] = {}  # address: bytes
        self.streams: dict[int, Stream] = {}
        self.graphs: dict[int, tuple[Work, ...]] = {}  # recorded, or ready to be launched
        self.calls: list[str] = []

    def _device(self) -> int:
        return getattr(self._thread, "device", 0)

    def cudaDriverGetVersion(self) -> tuple[Any, ...]:  # noqa: N802
        return Status.cudaSuccess, self.driver

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:  # noqa: N802
        if self.driver < 12000:
            return Status.cudaErrorInsufficientDriver, None
        return (Status.cudaSuccess, self._gpus) if self._gpus else (Status.cudaErrorNoDevice, None)

    def cudaGetDeviceProperties(self, index: int) -> tuple[Any, ...]:  # noqa: N802
        return Status.cudaSuccess, SimpleNamespace(name=GPU.encode())

    def cudaSetDevice(self, index: int) -> tuple[Any, ...]:  # noqa: N802
        self._thread.device = index
        return (Status.cudaSuccess,)

    def cudaStreamCreate(self) -> tuple[Any, ...]:  # noqa: N802
        return self.cudaStreamCreateWithFlags(0)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:  # noqa: N802
        number = next(self._numbers)
        self.streams[number] = Stream(number, self._device(), not flags)
        return Status.cudaSuccess, self.streams[number]

    def use_legacy_stream(self) -> None:
        """Do what other libraries do in other threads, for which a blocking stream must wait."""
        for stream in list(self.streams.values()):
            stream.invalidated |= stream.captured is not None and stream.blocking

    def cudaStreamDestroy(self, stream: Stream) -> tuple[Any, ...]:  # noqa: N802
        known = self.streams.pop(int(stream), None)
        return (Status.cudaSuccess if known else Status.cudaErrorInvalidValue,)

    def cudaStreamSynchronize(self, stream: Stream) -> tuple[Any, ...]:  # noqa: N802
        self.calls.append("cudaStreamSynchronize")
        if int(stream) not in self.streams:
            return (Status.cudaErrorInvalidValue,)
        if self._invalidates():
            return (Status.cudaErrorStreamCaptureUnsupported,)
        while stream.queue:
            stream.queue.pop(0)()
        return (Status.cudaSuccess,)

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:  # noqa: N802
        self.calls.append("cudaMalloc")
        if self._invalidates():
            return Status.cudaErrorStreamCaptureUnsupported, None
        if sum(len(content) for _, content in list(self.allocated.values())) + size > self._memory:
            return Status.cudaErrorMemoryAllocation, None
        address = FIRST_ADDRESS + (next(self._numbers) << 32)
        self.allocated[address] = self._device(), (ctypes.c_ubyte * size)()
        return Status.cudaSuccess, address

    def cudaFree(self, address: int) -> tuple[Any, ...]:  # noqa: N802
        self.calls.append("cudaFree")
        known = self.allocated.pop(address, None)
        return (Status.cudaSuccess if known else Status.cudaErrorInvalidValue,)

    def cudaMallocHost(self, size: int) -> tuple[Any, ...]:  # noqa: N802
        content = (ctypes.c_ubyte * size)()
        self.pinned[ctypes.addressof(content)] = content
        return Status.cudaSuccess, ctypes.addressof(content)

    def cudaFreeHost(self, address: int) -> tuple[Any, ...]:  # noqa: N802
        known = self.pinned.pop(address, None)
        return (Status.cudaSuccess if known else Status.cudaErrorInvalidValue,)

    def cudaMemcpyAsync(  # noqa: N802
        self, target: int, source: int, size: int, kind: Direction, stream: Stream
    ) -> tuple[Any, ...]:
        self.calls.append(kind.name)
        into = kind is Direction.cudaMemcpyHostToDevice
        there, here = (target, source) if into else (source, target)
        device, content = self.allocated.get(there, (None, ()))
        if len(content) < size or here not in self.pinned or device != stream.device:
            return (Status.cudaErrorInvalidValue,)  # other memory of the host would be copied twice
        stream.put(  # pinned memory is read and written when its turn comes
            (lambda: ctypes.memmove(content, source, size) and None)
            if into
            else (lambda: ctypes.memmove(target, content, size) and None)
        )
        return (Status.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream: Stream, mode: int) -> tuple[Any, ...]:  # noqa: N802
        self.calls.append("cudaStreamBeginCapture")
        if mode != 1 or stream.captured is not None or int(stream) not in self.streams:
            return (Status.cudaErrorInvalidValue,)
        stream.captured, stream.invalidated = [], False
        self._thread.capturing = stream
        return (Status.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: Stream) -> tuple[Any, ...]:  # noqa: N802
        captured, stream.captured, self._thread.capturing = stream.captured, None, None
        if captured is None or stream.invalidated:
            return Status.cudaErrorStreamCaptureInvalidated, None
        return Status.cudaSuccess, self._graph(captured)

    def cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[Any, ...]:  # noqa: N802
        return Status.cudaSuccess, self._graph(self.graphs[graph])

    def cudaGraphDestroy(self, graph: int) -> tuple[Any, ...]:  # noqa: N802
        known = self.graphs.pop(graph, None)
        return (Status.cudaErrorInvalidValue if known is None else Status.cudaSuccess,)

    cudaGraphExecDestroy = cudaGraphDestroy  # noqa: N815

    def cudaGraphLaunch(self, graph: int, stream: Stream) -> tuple[Any, ...]:  # noqa: N802
        self.calls.append("cudaGraphLaunch")
        for work in self.graphs[graph]:
            stream.put(work)
        return (Status.cudaSuccess,)

    def _graph(self, works: Sequence[Work]) -> int:
        number = next(self._numbers)
        self.graphs[number] = tuple(works)
        return number

    def _invalidates(self) -> bool:
        """Whether this thread records, which what it calls now makes impossible."""
        stream: Stream | None = getattr(self._thread, "capturing", None)
        if stream is not None:
            stream.invalidated = True
        return stream is not None


class Logger:
    """As `ILogger`."""

    Severity = SimpleNamespace(ERROR=1)


class Mode(enum.Enum):
    INPUT = 1
    OUTPUT = 2


class FakeEngine:
    """As `ICudaEngine`.

    Args:
        cuda: the GPU.
        inputs: the type of each input.
        compute: gives every output for the inputs; it is run once to learn their types.
        profiles: smallest, best and largest shape of `points` for each profile.
        recordable: whether its work can become part of a graph.
        runs: whether it can be executed.
        room: whether there is memory for one more context.
        log: tells the logger of its runtime something, see `tensorrt_module`.
    """

    recordable = runs = room = True
    log: Callable[[str], None] = print

    def __init__(
        self,
        cuda: FakeCuda,
        inputs: Mapping[str, Any],
        compute: Callable[[dict[str, Any]], dict[str, Any]],
        profiles: tuple[tuple[tuple[int, ...], ...], ...],
    ) -> None:
        self.cuda, self.inputs, self.compute, self.profiles = cuda, inputs, compute, profiles
        self.outputs: dict[str, Any] = {"logits": np.float32}
        self.contexts: list[FakeContext] = []
        self.shapes: list[tuple[int, ...]] = []  # of `points`, at each execution

    @property
    def names(self) -> list[str]:
        return [*self.inputs, *self.outputs]

    @property
    def num_io_tensors(self) -> int:
        return len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if name in self.inputs else Mode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return {**self.inputs, **self.outputs}[name]

    def get_tensor_profile_shape(self, name: str, profile: int) -> Any:
        assert name == "points"
        return self.profiles[profile]

    def create_execution_context(self) -> "FakeContext | None":
        if not self.room:
            self.log("no memory for a context")
            return None
        context = FakeContext(self, None if self.contexts else 0)
        self.contexts.append(context)
        return context


class FakeContext:
    """As `IExecutionContext`; an engine's first one has a profile from the beginning.

    A graph recorded of a context must not be launched after that was modified.
    """

    def __init__(self, engine: FakeEngine, profile: int | None) -> None:
        self.engine, self.profile = engine, profile
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.changes = 0

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        if stream not in self.engine.cuda.streams or profile >= len(self.engine.profiles):
            return False
        self.profile = profile
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if self.profile is None or name not in self.engine.inputs:
            return False
        low, _, high = self.engine.profiles[self.profile]
        pairs = zip(low, shape, high, strict=False)
        if name == "points" and not all(a <= size <= b for a, size, b in pairs):
            return False
        self.changes += 1
        self.shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if set(self.shapes) != set(self.engine.inputs):
            return (-1, -1)
        made = {n: np.zeros(s, self.engine.inputs[n]) for n, s in self.shapes.items()}
        return tuple(self.engine.compute(made)[name].shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.changes += 1
        self.addresses[name] = address
        return name in self.engine.names

    def execute_async_v3(self, stream: int) -> bool:
        cuda = self.engine.cuda
        ready = set(self.shapes) == set(self.engine.inputs)
        known = all(self.addresses.get(name) in cuda.allocated for name in self.engine.names)
        if not ready or not known or stream not in cuda.streams or not self.engine.runs:
            self.engine.log("the execution failed")
            return False
        recorded = cuda.streams[stream].captured is not None
        if recorded and not self.engine.recordable:
            cuda.streams[stream].invalidated = True
            return False
        cuda.use_legacy_stream()
        shapes, addresses, changes = dict(self.shapes), dict(self.addresses), self.changes

        def work() -> None:
            assert not recorded or self.changes == changes, "the graph's context was modified"
            self._execute(shapes, addresses)

        cuda.streams[stream].put(work)
        return True

    def _execute(self, shapes: dict[str, tuple[int, ...]], addresses: Mapping[str, int]) -> None:
        self.engine.shapes.append(shapes["points"])
        content = {name: self.engine.cuda.allocated[at][1] for name, at in addresses.items()}
        made = {
            name: np.frombuffer(
                content[name], self.engine.inputs[name], int(np.prod(shape))
            ).reshape(shape)
            for name, shape in shapes.items()
        }
        for name, values in self.engine.compute(made).items():
            raw = np.ascontiguousarray(values, self.engine.outputs[name]).tobytes()
            assert len(raw) <= len(content[name])
            ctypes.memmove(content[name], raw, len(raw))


def tensorrt_module(engine: FakeEngine, version: str = VERSION) -> Any:
    """The module `tensorrt` of a library that loads `PLAN` as `engine`."""

    class Runtime:
        def __init__(self, log: Any) -> None:
            self._log = log

        def deserialize_cuda_engine(self, content: bytes) -> FakeEngine | None:
            if content == PLAN:
                engine.log = lambda message: self._log.log(1, message)
                return engine
            self._log.log(1, "the plan is of another compute capability")
            return None

    return SimpleNamespace(
        __version__=version,
        ILogger=Logger,
        Runtime=Runtime,
        TensorIOMode=Mode,
        nptype=lambda kind: kind,
    )
