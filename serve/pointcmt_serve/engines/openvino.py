"""Running an exported student with OpenVINO."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt import native
from pointcmt.errors import InputError
from pointcmt_serve.engines.device import Device
from pointcmt_serve.engines.onnxruntime import read_artefact
from pointcmt_serve.engines.session import LOGITS, POINTS, Session

_SHAPES = 4  # that are compiled for
# Without the first, a processor with bfloat16 computes in that, and logits differ by 0.1.
_PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


class OpenVinoSession(Session):
    """An exported student in OpenVINO, on the CPU in float32.

    It is compiled for each shape of clouds, which is faster than for any; where more than a few
    shapes come, the later ones share one that takes any. Neighbours among features and maxima over
    them are left to the native library, where that was compiled.
    """

    def __init__(self, file: Path, device: Device, threads: int) -> None:
        """Load `file`; see `open_session`."""
        del device  # the CPU is the one there is
        import openvino

        super().__init__(read_artefact(file), threads)
        self._core = openvino.Core()
        self._model = _read(self._core, file)
        self._any = {port.any_name: port.partial_shape for port in self._model.inputs}
        self._outputs = [port.any_name for port in self._model.outputs]
        if native.available():
            from pointcmt_serve.engines.openvino_ops import use_native_ops

            use_native_ops(self._model, threads or native.default_threads())
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()

    def _run(self, inputs: dict[str, NDArray[Any]], indices: bool) -> dict[str, NDArray[Any]]:
        wanted = self._outputs if indices else [LOGITS]
        with self._lock:
            given = self._compiled_for(inputs)(inputs)
            return {name: np.array(given[name]) for name in wanted}

    def _compiled_for(self, inputs: dict[str, NDArray[Any]]) -> Any:
        shape = inputs[POINTS].shape
        shapes = {name: list(value.shape) for name, value in inputs.items()}
        if shape not in self._compiled and len(self._compiled) >= _SHAPES:
            shape, shapes = (), self._any
        if shape not in self._compiled:
            self._model.reshape(shapes)
            properties = {"INFERENCE_NUM_THREADS": self._threads or 0, **_PROPERTIES}
            self._compiled[shape] = self._core.compile_model(self._model, "CPU", properties)
        return self._compiled[shape]


def _read(core: Any, file: Path) -> Any:
    try:
        return core.read_model(file)
    except RuntimeError as error:
        raise InputError(
            f"{file}: OpenVINO cannot read the graph, perhaps for the loop that samples points; "
            "export it with --sampling host"
        ) from error
