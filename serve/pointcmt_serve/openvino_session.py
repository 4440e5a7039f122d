"""Running an exported student with OpenVINO."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt import native
from pointcmt.errors import InputError
from pointcmt_serve.session import OnnxSession, Session

_SHAPES = 4  # that are compiled for
_PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


class OpenVinoSession(Session):
    """An exported student in OpenVINO, on the CPU in float32.

    It is compiled for each shape of clouds, which is faster than for any; where more than a few
    shapes come, the later ones share one that takes any. Neighbours among features and maxima over
    them are left to the native library, where that was compiled.
    """

    def __init__(self, file: Path, threads: int = 0):
        """Load `file`.

        Args:
            file: an ONNX file that pointcmt-export wrote.
            threads: threads of one call; 0 leaves the choice to OpenVINO.

        Raises:
            InputError: `file` cannot be loaded or is no PointCMT export, or OpenVINO is not
                installed or cannot read the graph.
        """
        super().__init__(threads)
        self.artefact = OnnxSession(file, "cpu", threads).artefact
        self._core, self._model = _read(file)
        self._any = {port.any_name: port.partial_shape for port in self._model.inputs}
        if native.available():
            from pointcmt_serve.openvino_ops import use_native_ops

            use_native_ops(self._model, threads or native.default_threads())
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()

    def _run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:
        with self._lock:
            return np.array(self._compiled_for(inputs)(inputs)["logits"])

    def _compiled_for(self, inputs: dict[str, NDArray[Any]]) -> Any:
        shape = inputs["points"].shape
        shapes = {name: list(value.shape) for name, value in inputs.items()}
        if shape not in self._compiled and len(self._compiled) >= _SHAPES:
            shape, shapes = (), self._any
        if shape not in self._compiled:
            self._model.reshape(shapes)
            properties = {"INFERENCE_NUM_THREADS": self._threads or 0, **_PROPERTIES}
            self._compiled[shape] = self._core.compile_model(self._model, "CPU", properties)
        return self._compiled[shape]


def _read(file: Path) -> tuple[Any, Any]:
    try:
        import openvino
    except ImportError as error:
        raise InputError(
            "engine openvino needs OpenVINO; install it with: pip install 'pointcmt[openvino]'"
        ) from error
    core = openvino.Core()
    try:
        return core, core.read_model(file)
    except RuntimeError as error:
        raise InputError(
            f"{file}: OpenVINO cannot read the graph, perhaps for the loop that samples points; "
            "export it with --sampling host"
        ) from error
