"""Running an exported student with OpenVINO."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt import native
from pointcmt.errors import InputError
from pointcmt_serve.artefact import Artefact
from pointcmt_serve.engines.device import Device
from pointcmt_serve.engines.onnxruntime import BFLOAT16, read_artefact
from pointcmt_serve.engines.session import LOGITS, POINTS, Session
from pointcmt_serve.engines.side_car import require_bfloat16

_SHAPES = 4  # that are compiled for
PRODUCTS = ("FullyConnected", "MatMul")
# Without the first, a processor with bfloat16 computes in that, and logits differ by 0.1.
_PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


class OpenVinoSession(Session):
    """An exported student in OpenVINO, on the CPU in the precision of the file.

    It is compiled for each shape of clouds, which is faster than for any; where more than a few
    shapes come, the later ones share one that takes any. Neighbours among features and maxima over
    them are left to the native library, where that was compiled.
    """

    def __init__(self, file: Path, device: Device, threads: int) -> None:
        """Load `file`; see `open_session`."""
        del device  # the CPU is the one there is
        import openvino

        super().__init__(_described(file), threads)
        self._core = openvino.Core()
        reason = no_bfloat16() if self.artefact.precision == "bf16" else None
        if reason:
            raise InputError(f"{file}: {reason}")
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
            made = self._core.compile_model(self._model, "CPU", properties)
            if self.artefact.precision == "bf16":
                _require_products(made)
            self._compiled[shape] = made
        return self._compiled[shape]


def no_bfloat16() -> str | None:
    """Return why this processor does not compute in bfloat16, None where it does.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    import openvino

    core = openvino.Core()
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    name = core.get_property("CPU", "FULL_DEVICE_NAME").strip()
    return f"the processor, {name}, has no bfloat16 products; take the float32 or the int8 file"


def _described(file: Path) -> Artefact:
    """Return what a file says of itself; onnxruntime, which reads that, loads no bfloat16 file."""
    if not file.name.endswith(BFLOAT16):
        return read_artefact(file)
    return replace(read_artefact(require_bfloat16(file)), file=file, precision="bf16")


def product_precisions(compiled: Any) -> list[str]:
    """Return the precision of each heavy product as OpenVINO compiled it, such as "f32"."""
    infos = (node.get_rt_info() for node in compiled.get_runtime_model().get_ops())
    return [info["runtimePrecision"].value for info in infos if info["layerType"].value in PRODUCTS]


def _require_products(compiled: Any) -> None:
    """Check that the heavy products are of bfloat16 in what was compiled.

    Raises:
        InputError: OpenVINO made float32 products of them all.
    """
    if "bf16" not in product_precisions(compiled):
        raise InputError("OpenVINO would compute in float32 what the file has in bfloat16")


def _read(core: Any, file: Path) -> Any:
    try:
        return core.read_model(file)
    except RuntimeError as error:
        raise InputError(
            f"{file}: OpenVINO cannot read the graph, perhaps for the loop that samples points; "
            "export it with --sampling host"
        ) from error
