"""Running an exported student with onnxruntime."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.artefact import Artefact, describe
from pointcmt_serve.engines.device import Device
from pointcmt_serve.engines.further_outputs import further_outputs
from pointcmt_serve.engines.session import LOGITS, POINTS, Session, first_line

_QUIET = 3  # onnxruntime's level for errors only
_SILENT = 4  # of a run, whose errors are raised
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
BFLOAT16 = ".bf16.onnx"


class OnnxSession(Session):
    """An exported student in onnxruntime, which computes in the precision of the graph.

    Attributes:
        runtime: the `onnxruntime.InferenceSession`.
    """

    def __init__(self, file: Path, device: Device, threads: int, tell: Sequence[str] = ()) -> None:
        """Load `file`; see `open_session`.

        Args:
            file: the ONNX file.
            device: where it runs.
            threads: of one call on the CPU.
            tell: tensors inside the graph that `run` gives with the indices.
        """
        self.runtime = _load(file, device, threads, tell=tell)
        super().__init__(_describe(file, self.runtime), threads)
        self._outputs = [output.name for output in self.runtime.get_outputs()]
        self._how = _silently()

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU."""
        return _CUDA in self.runtime.get_providers()

    def _run(self, inputs: dict[str, NDArray[Any]], indices: bool) -> dict[str, NDArray[Any]]:
        wanted = self._outputs if indices else [LOGITS]
        given = self.runtime.run(wanted, inputs, self._how)
        return {name: np.asarray(value) for name, value in zip(wanted, given, strict=True)}


def _silently() -> Any:
    import onnxruntime

    how = onnxruntime.RunOptions()
    how.log_severity_level = _SILENT
    return how


def read_artefact(file: Path) -> Artefact:
    """Return what an ONNX file says about itself, for engines whose own files are silent.

    Raises:
        InputError: `file` cannot be loaded or is no PointCMT export.
    """
    return _describe(file, _load(file, Device("cpu"), 1, optimise=False))


def _describe(file: Path, runtime: Any) -> Artefact:
    try:
        artefact = describe(file, runtime.get_modelmeta().custom_metadata_map)
        _check_signature(artefact, runtime)
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: holds names or metadata that are no text") from error
    return artefact


def _check_signature(artefact: Artefact, runtime: Any) -> None:
    inputs = {i.name: i for i in runtime.get_inputs()}
    outputs = {o.name: o.shape[-1] for o in runtime.get_outputs() if o.shape}
    file, channels = artefact.file, artefact.channels
    wanted = {POINTS, *(step["input"] for step in artefact.steps)}
    if set(inputs) != wanted:
        raise InputError(f"{file}: takes {sorted(inputs)}, but its metadata say {sorted(wanted)}")
    kind, shape = inputs[POINTS].type, inputs[POINTS].shape
    if kind != "tensor(float)" or shape[2:] != [len(channels)]:
        raise InputError(
            f"{file}: takes points {shape} {kind}, not float32 {', '.join(channels)} "
            f"(B, N, {len(channels)})"
        )
    if outputs.get(LOGITS) != artefact.outputs:
        what = "parts" if artefact.parts else "classes"
        raise InputError(
            f"{file}: gives {outputs}, not one logit for each of its {artefact.outputs} {what}"
        )


def _load(
    file: Path, device: Device, threads: int, *, optimise: bool = True, tell: Sequence[str] = ()
) -> Any:
    import onnxruntime

    if file.name.endswith(BFLOAT16):
        raise InputError(f"{file}: onnxruntime has no bfloat16 products; use engine openvino")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    providers = _providers(onnxruntime.get_available_providers(), device)
    try:
        content = file.read_bytes() + further_outputs(tell) if tell else file
        session = _started(content, options, providers, device)
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        raise InputError(
            f"{file}: is no ONNX file onnxruntime can run ({first_line(error)})"
        ) from error
    if device.kind == "cuda" and _CUDA not in session.get_providers():
        raise InputError(f"device {device} could not be started; check the driver, or use cpu")
    return session


def _started(content: bytes | Path, options: Any, providers: list[Any], device: Device) -> Any:
    """Return a session; onnxruntime's own way to fall back would print among the answers."""
    from onnxruntime import InferenceSession

    try:
        return InferenceSession(content, options, providers=providers, enable_fallback=0)
    except Exception:
        if device.kind != "auto" or providers == [_CPU]:
            raise
        return InferenceSession(content, options, providers=[_CPU], enable_fallback=0)


def _providers(available: list[str], device: Device) -> list[Any]:
    if device.kind == "cuda" and _CUDA not in available:
        raise InputError(
            f"device {device} needs onnxruntime-gpu in place of onnxruntime "
            "(pip uninstall onnxruntime; pip install 'pointcmt[onnxruntime-gpu]'); or use cpu"
        )
    wanted: list[Any] = [_CPU]
    if device.kind != "cpu" and _CUDA in available:
        _load_cuda()
        wanted.insert(0, (_CUDA, {"device_id": device.index, "use_tf32": 0}))
    return wanted


def _load_cuda() -> None:
    """Load CUDA's libraries from NVIDIA's wheels; one that is missing shows in the session."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(_QUIET)  # else it warns of every GPU
    with redirect_stdout(StringIO()):
        onnxruntime.preload_dlls()
