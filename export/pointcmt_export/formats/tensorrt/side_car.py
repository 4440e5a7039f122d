"""The side-car of an engine: what must be known to load it, since the engine has no room for it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pointcmt.errors import InputError
from pointcmt_export.formats.tensorrt.vendor import NAMES, Kind
from pointcmt_export.options import FittedProfile, Precision
from pointcmt_export.report import sha256

FORMAT = "pointcmt-engine-1"


@dataclass(frozen=True)
class SideCar:
    """What lies in `ENGINE.json` beside an engine.

    Attributes:
        engine_sha256: of the engine.
        onnx_sha256: of the ONNX file it was built from.
        library: "trt" or "trt-rtx".
        library_version: exactly; an engine runs with no other.
        gpu: the GPU it was built on, or None for an engine of TensorRT-RTX built without one.
        precision: "fp32" or "fp16".
        profile: the shapes it takes.
    """

    engine_sha256: str
    onnx_sha256: str
    library: Kind
    library_version: str
    gpu: str | None
    precision: Precision
    profile: FittedProfile

    def write(self, engine: Path) -> None:
        """Write the side-car of the engine file `engine`."""
        text = json.dumps({"format": FORMAT, "engine": engine.name, **asdict(self)}, indent=2)
        path_of(engine).write_text(f"{text}\n")


def path_of(engine: Path) -> Path:
    """Return where the side-car of an engine file lies."""
    return engine.with_name(f"{engine.name}.json")


def require_fitting(engine: Path, library: Kind, version: str, gpu: str | None) -> None:
    """Check that an engine file can be loaded here.

    Args:
        engine: the engine file, its side-car beside it.
        library: the library at hand.
        version: its version.
        gpu: the GPU at hand.

    Raises:
        InputError: the side-car is missing or damaged, or the engine is another file's, another
            library's, another version's or another GPU's.
    """
    stated = _read(path_of(engine))
    if stated.get("engine_sha256") != sha256(engine):
        raise InputError(f"{engine}: is not the engine its side-car was written for; export again")
    if (stated.get("library"), stated.get("library_version")) != (library, version):
        built = f"{NAMES.get(stated.get('library', library), '?')} {stated.get('library_version')}"
        raise InputError(
            f"{engine}: was built by {built}, but {NAMES[library]} {version} is installed; "
            "install that version or export again"
        )
    if stated.get("gpu") not in (None, gpu):
        raise InputError(
            f"{engine}: was built on a {stated['gpu']}, but this machine has {gpu or 'no GPU'}; "
            "export again on the machine that runs it"
        )


def _read(file: Path) -> dict[str, Any]:
    try:
        stated = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: no readable side-car of an engine ({error})") from error
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        raise InputError(f"{file}: not the side-car of an engine that pointcmt-export wrote")
    return stated
