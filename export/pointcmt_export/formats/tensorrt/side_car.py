"""The side-car of an engine: what must be known to load it, since the engine has no room for it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pointcmt_export.options import FittedProfile, Precision, Sampling
from pointcmt_serve.engines.side_car import FORMAT, path_of
from pointcmt_serve.engines.tensorrt_library import Kind


@dataclass(frozen=True)
class SideCar:
    """What lies in `ENGINE.json` beside an engine.

    Attributes:
        engine_sha256: of the engine.
        onnx_sha256: of the ONNX file it was built from.
        library: "trt" or "trt-rtx".
        library_version: exactly; an engine runs with no other.
        gpu: the GPU it was built on, or None for an engine of TensorRT-RTX, which fits many.
        precision: "fp32" or "fp16".
        sampling: who computes the indices: "graph", "host" or "device".
        profile: the shapes it takes.
    """

    engine_sha256: str
    onnx_sha256: str
    library: Kind
    library_version: str
    gpu: str | None
    precision: Precision
    sampling: Sampling
    profile: FittedProfile

    def write(self, engine: Path) -> None:
        """Write the side-car of the engine file `engine`."""
        text = json.dumps({"format": FORMAT, "engine": engine.name, **asdict(self)}, indent=2)
        path_of(engine).write_text(f"{text}\n")
