"""Running a TensorRT or TensorRT-RTX engine on its GPU, without torch."""

import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.artefact import find_file
from pointcmt_serve.device_indices import load_kernels
from pointcmt_serve.engines.cuda import Cuda
from pointcmt_serve.engines.device import Device
from pointcmt_serve.engines.onnxruntime import read_artefact
from pointcmt_serve.engines.session import LOGITS, POINTS, Session, first_line
from pointcmt_serve.engines.side_car import ONNX_FILE, require_fitting
from pointcmt_serve.engines.tensorrt_lane import Lane, Staged
from pointcmt_serve.engines.tensorrt_library import Kind, load_vendor
from pointcmt_serve.engines.tensorrt_plan import Arrays, Plan

EXTRAS: dict[Kind, str] = {"trt": "tensorrt", "trt-rtx": "tensorrt-rtx"}


class TensorRtSession(Session):
    """An exported student as an engine, in the precision it was built with.

    A call takes one of the session's lanes (an execution context with a stream and buffers), and
    makes one more where all are taken, so that there are as many as threads ever called at once.
    Lanes are kept until the session goes.

    Where the side-car says so, points are sampled and grouped on the GPU, on the stream of the lane
    and into the engine's own buffers.
    """

    def __init__(self, kind: Kind, file: Path, device: Device, threads: int) -> None:
        """Load `file`; see `open_session`."""
        vendor = load_vendor(kind, EXTRAS[kind])
        cuda = Cuda(device.index)
        onnx = find_file(file.parent, ONNX_FILE)
        stated = require_fitting(file, kind, str(vendor.api.__version__), cuda.name)
        super().__init__(replace(read_artefact(onnx), file=file), threads)
        cuda.use()
        self._plan = Plan(vendor, file.read_bytes())
        self._plan.require(self.artefact)
        self._cuda = cuda
        self._steps = self.artefact.steps if stated.get("sampling") == "device" else ()
        self._load_kernels()
        self._idle: list[Lane] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._idle)

    def _run(self, inputs: Arrays, indices: bool) -> Arrays:
        chosen = [step["input"] for step in self._steps]
        wanted = [*self._plan.outputs, *chosen] if indices else [LOGITS]
        lane = self._take()
        try:
            parts = [lane.run(part, wanted) for part in self._plan.parts(inputs)]
        except BaseException:  # what was begun may still be under way
            with suppress(InputError):
                lane.close()
            raise
        self._give_back([lane])
        return {name: np.concatenate([part[name] for part in parts]) for name in wanted}

    def stage(self, clouds: NDArray[np.float32]) -> Staged:
        """Bring prepared clouds (B, N, C) and their indices to the GPU, to be computed at will.

        Raises:
            InputError: see `run`.
        """
        parts = self._plan.parts({POINTS: clouds, **self._chosen(clouds)})
        lanes = [self._take() for _ in parts]
        for lane, part in zip(lanes, parts, strict=True):
            lane.load(part)
        return Staged(lanes, self._give_back)

    def _chosen(self, clouds: NDArray[np.float32]) -> dict[str, NDArray[np.int64]]:
        if not self._steps:
            return super()._chosen(clouds)
        if not np.isfinite(clouds[..., :3]).all():
            raise ValueError("points must be finite, but hold NaN or infinity")
        return {}

    def _load_kernels(self) -> None:
        shape = (1, self.artefact.points, len(self.artefact.channels))
        try:
            load_kernels(self._steps, shape, self._cuda.index)
        except (RuntimeError, ValueError, TypeError) as error:
            raise InputError(
                f"{self.artefact.file}: points cannot be sampled on this GPU "
                f"({first_line(error)}); export again with --sampling host"
            ) from error

    def _give_back(self, lanes: Sequence[Lane]) -> None:
        with self._lock:
            self._idle.extend(lanes)

    def _take(self) -> Lane:
        self._cuda.use()
        with self._lock:
            return self._idle.pop() if self._idle else Lane(self._plan, self._cuda, self._steps)


def _close(lanes: list[Lane]) -> None:
    while lanes:
        lanes.pop().close()
