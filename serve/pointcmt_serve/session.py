"""Running an exported student with onnxruntime."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.artefact import Artefact, describe
from pointcmt_serve.sampling import host_inputs

Device = Literal["auto", "cpu", "cuda"]
_QUIET = 3  # onnxruntime's level for errors only


class Session(ABC):
    """An exported student in memory; safe to use from several threads at once.

    Attributes:
        artefact: what the file says about itself.
    """

    artefact: Artefact

    def __init__(self, threads: int) -> None:
        self._threads = threads or None

    def __call__(self, clouds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits (B, C) of `clouds` (B, N, 3), prepared as the network wants them.

        Raises:
            InputError: the network cannot take these clouds, or its answer is not finite.
        """
        try:
            indices = host_inputs(self.artefact.steps, clouds, self._threads)
            logits = self._run({"points": clouds, **indices})  # (B, C)
        except Exception as error:  # the runtimes raise a dozen unrelated types
            raise InputError(f"{self.artefact.file}: cannot be run ({_reason(error)})") from error
        if not np.isfinite(logits).all():
            raise InputError(f"{self.artefact.file}: gave a logit that is not finite")
        return np.asarray(logits, dtype=np.float32)

    @abstractmethod
    def _run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the logits for all inputs of the graph."""


class OnnxSession(Session):
    """An exported student in onnxruntime.

    Attributes:
        runtime: the `onnxruntime.InferenceSession`.
    """

    def __init__(self, file: Path, device: Device = "auto", threads: int = 0):
        """Load `file`.

        Args:
            file: an ONNX file that pointcmt-export wrote.
            device: "cpu", "cuda", or "auto" for CUDA where this onnxruntime offers it.
            threads: threads of one call on the CPU; 0 leaves the choice to onnxruntime.

        Raises:
            InputError: `file` cannot be loaded or is no PointCMT export, or the device is absent.
        """
        super().__init__(threads)
        self.runtime = _load(file, device, threads)
        metadata = self.runtime.get_modelmeta().custom_metadata_map
        self.artefact = describe(file, metadata)
        self._check_signature()

    def _run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:
        (logits,) = self.runtime.run(["logits"], inputs)
        return np.asarray(logits)

    def _check_signature(self) -> None:
        inputs = {i.name: i for i in self.runtime.get_inputs()}
        outputs = {o.name: o.shape[-1] for o in self.runtime.get_outputs() if o.shape}
        file, classes = self.artefact.file, len(self.artefact.classes)
        wanted = {"points", *(step["input"] for step in self.artefact.steps)}
        if set(inputs) != wanted:
            raise InputError(
                f"{file}: takes {sorted(inputs)}, but its metadata say {sorted(wanted)}"
            )
        kind, shape = inputs["points"].type, inputs["points"].shape
        if kind != "tensor(float)" or shape[2:] != [3]:
            raise InputError(f"{file}: takes points {shape} {kind}, not float32 x, y, z (B, N, 3)")
        if outputs.get("logits") != classes:
            raise InputError(
                f"{file}: gives {outputs}, not one logit for each of its {classes} classes"
            )


def _load(file: Path, device: Device, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "onnxruntime is missing; install it with: pip install 'pointcmt[serve]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads
    providers = _providers(onnxruntime.get_available_providers(), device)
    try:
        session = onnxruntime.InferenceSession(file, options, providers=providers)
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        raise InputError(
            f"{file}: is no ONNX file onnxruntime can run ({_reason(error)})"
        ) from error
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise InputError("device cuda could not be started; check the driver, or use device cpu")
    return session


def _providers(available: list[str], device: Device) -> list[str]:
    if device == "cuda" and "CUDAExecutionProvider" not in available:
        raise InputError("device cuda needs onnxruntime-gpu in place of onnxruntime; or use cpu")
    wanted = ["CPUExecutionProvider"]
    if device != "cpu":
        wanted.insert(0, "CUDAExecutionProvider")
    return [name for name in wanted if name in available]


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
