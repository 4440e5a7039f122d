"""Running a TensorRT or TensorRT-RTX engine on its GPU, without torch."""

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.artefact import Artefact, find_file
from pointcmt_serve.engines.cuda import Cuda
from pointcmt_serve.engines.device import Device
from pointcmt_serve.engines.onnxruntime import read_artefact
from pointcmt_serve.engines.session import LOGITS, POINTS, Session
from pointcmt_serve.engines.side_car import ONNX_FILE, require_fitting
from pointcmt_serve.engines.tensorrt_library import Kind, Vendor, first_error, load_vendor

EXTRAS: dict[Kind, str] = {"trt": "tensorrt", "trt-rtx": "tensorrt-rtx"}
PROFILE = 0  # the one with which pointcmt-export builds
Arrays = dict[str, NDArray[Any]]


class TensorRtSession(Session):
    """An exported student as an engine, in the precision it was built with.

    A call takes one of the session's lanes (an execution context with a stream and buffers), and
    makes one more where all are taken, so that there are as many as threads ever called at once.
    Lanes are kept until the session goes.
    """

    def __init__(self, kind: Kind, file: Path, device: Device, threads: int) -> None:
        """Load `file`; see `open_session`."""
        vendor = load_vendor(kind, EXTRAS[kind])
        cuda = Cuda(device.index)
        onnx = find_file(file.parent, ONNX_FILE)
        require_fitting(file, kind, str(vendor.api.__version__), cuda.name)
        super().__init__(replace(read_artefact(onnx), file=file), threads)
        cuda.use()
        self._plan = Plan(vendor, file.read_bytes())
        self._plan.require(self.artefact)
        self._cuda = cuda
        self._idle: list[Lane] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._idle)

    def _run(self, inputs: Arrays, indices: bool) -> Arrays:
        wanted = self._plan.outputs if indices else (LOGITS,)
        lane = self._take()
        try:
            parts = [lane.run(part, wanted) for part in self._plan.parts(inputs)]
        finally:
            with self._lock:
                self._idle.append(lane)
        return {name: np.concatenate([part[name] for part in parts]) for name in wanted}

    def _take(self) -> "Lane":
        self._cuda.use()
        with self._lock:
            return self._idle.pop() if self._idle else Lane(self._plan, self._cuda)


class Plan:
    """A deserialised engine.

    Attributes:
        engine: the library's engine.
        types: the numpy type of every input and output, by name.
        outputs: names of the outputs.
    """

    def __init__(self, vendor: Vendor, content: bytes) -> None:
        """Deserialise an engine.

        Raises:
            InputError: the library cannot load it on this GPU.
        """
        self._log = vendor.logger()
        self._runtime = vendor.api.Runtime(self._log)
        self.engine = self._runtime.deserialize_cuda_engine(content)
        if self.engine is None:
            reason = first_error(self._log.errors, "built for another GPU or by another version")
            raise InputError(f"{vendor.title} cannot load the engine on this GPU ({reason})")
        names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        self.types = {n: vendor.api.nptype(self.engine.get_tensor_dtype(n)) for n in names}
        given = vendor.api.TensorIOMode.OUTPUT
        self.outputs = tuple(n for n in names if self.engine.get_tensor_mode(n) == given)

    def require(self, artefact: Artefact) -> None:
        """Raise an `InputError` unless the engine has the inputs and outputs that the file says."""
        inputs = set(self.types) - set(self.outputs)
        wanted = {POINTS, *(step["input"] for step in artefact.steps)}
        if inputs != wanted or LOGITS not in self.outputs:
            raise InputError(
                f"{artefact.file}: takes {sorted(inputs)} and gives {sorted(self.outputs)}, not "
                f"{sorted(wanted)} and {LOGITS}; export again"
            )

    def parts(self, inputs: Arrays) -> list[Arrays]:
        """Cut a batch into parts of about one size that the engine takes.

        Raises:
            InputError: it takes no such number of clouds or of points.
        """
        least, _, most = self.engine.get_tensor_profile_shape(POINTS, PROFILE)
        batch, points = inputs[POINTS].shape[:2]
        count = -(-batch // most[0])
        if not least[1] <= points <= most[1]:
            raise InputError(
                f"was built for clouds of {least[1]} to {most[1]} points, not {points}; "
                "export again with --profile-points"
            )
        if count == 0 or batch // count < least[0]:
            raise InputError(
                f"was built for {least[0]} to {most[0]} clouds at once, not {batch}; "
                "export again with --profile-batch"
            )
        cut = {name: np.array_split(values, count) for name, values in inputs.items()}
        return [{name: pieces[i] for name, pieces in cut.items()} for i in range(count)]


@dataclass(frozen=True)
class Buffer:
    """Bytes on the GPU."""

    address: int
    size: int


class Lane:
    """An execution context with its stream and a buffer for each input and output."""

    def __init__(self, plan: Plan, cuda: Cuda) -> None:
        self._plan = plan
        self._cuda = cuda
        self._buffers: dict[str, Buffer] = {}
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
        types = self._plan.types
        held = {n: np.ascontiguousarray(value, dtype=types[n]) for n, value in inputs.items()}
        for name, values in held.items():
            if not self._context.set_input_shape(name, values.shape):
                raise InputError(f"the engine takes no {name} of shape {values.shape}")
            self._cuda.copy_in(self._place(name, values.nbytes), values, self._stream)
        given = {name: self._make(name) for name in self._plan.outputs}
        if not self._context.execute_async_v3(int(self._stream)):
            raise InputError("the engine failed")
        for name in wanted:
            self._cuda.copy_out(self._buffers[name].address, given[name], self._stream)
        self._cuda.wait(self._stream)
        return {name: given[name] for name in wanted}

    def _make(self, name: str) -> NDArray[Any]:
        shape = tuple(self._context.get_tensor_shape(name))
        values = np.empty(shape, dtype=self._plan.types[name])
        self._place(name, values.nbytes)
        return values

    def _place(self, name: str, size: int) -> int:
        """Return the address of a buffer of at least `size` bytes, which the context knows."""
        held = self._buffers.get(name)
        if held is None or held.size < size:
            if held is not None:
                self._cuda.free(self._buffers.pop(name).address)
            held = self._buffers[name] = Buffer(self._cuda.allocate(size), size)
            self._context.set_tensor_address(name, held.address)
        return held.address

    def close(self) -> None:
        """Free the buffers and the stream."""
        self._cuda.use()
        while self._buffers:
            self._cuda.free(self._buffers.popitem()[1].address)
        self._cuda.free_stream(self._stream)


def _close(lanes: list[Lane]) -> None:
    while lanes:
        lanes.pop().close()
