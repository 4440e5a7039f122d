"""Running an exported student with OpenVINO."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt import native
from pointcmt.errors import InputError
from pointcmt_serve.session import OnnxSession, Session

_PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


class OpenVinoSession(Session):
    """An exported student in OpenVINO, on the CPU in float32.

    Neighbours among features and maxima over them are left to the native library, where that was
    compiled.
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
        self._lock = threading.Lock()
        self._compiled = _compile(file, threads)

    def _run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:
        with self._lock:
            return np.array(self._compiled(inputs)["logits"])


def _compile(file: Path, threads: int) -> Any:
    try:
        import openvino
    except ImportError as error:
        raise InputError(
            "engine openvino needs OpenVINO; install it with: pip install 'pointcmt[openvino]'"
        ) from error
    core = openvino.Core()
    try:
        model = core.read_model(file)
    except RuntimeError as error:
        raise InputError(
            f"{file}: OpenVINO cannot read the graph, perhaps for the loop that samples points; "
            "export it with --sampling host"
        ) from error
    if native.available():
        from pointcmt_serve.openvino_ops import use_native_ops

        use_native_ops(model, threads or native.default_threads())
    properties = {"INFERENCE_NUM_THREADS": threads, **_PROPERTIES}
    return core.compile_model(model, "CPU", properties)
