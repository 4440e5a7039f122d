"""What an engine is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from pointcmt_export.options import Options
from pointcmt_export.verification import Check, Clouds
from pointcmt_export.verification.gate import Expectation


@dataclass(frozen=True)
class Job:
    """A verified ONNX file, of which an engine is to be made.

    Attributes:
        model: the ONNX model.
        full: the same student in float32 where `model` is in float16, else None.
        folder: holds `model.onnx`; the engine's files go there.
        expected: what the artefact must be.
        clouds: for comparing.
        options: the export's.
    """

    model: onnx.ModelProto
    full: onnx.ModelProto | None
    folder: Path
    expected: Expectation
    clouds: Clouds
    options: Options


Engine = Callable[[Job], list[Check]]
