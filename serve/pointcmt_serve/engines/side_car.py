"""What the side-car of an engine allows: `ENGINE.json`, written beside it by pointcmt-export."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pointcmt.errors import InputError
from pointcmt_serve.engines.tensorrt_library import NAMES, Kind

FORMAT = "pointcmt-engine-1"
BFLOAT16 = "pointcmt-bfloat16-1"
ONNX_FILE = "model.onnx"


def path_of(engine: Path) -> Path:
    """Return where the side-car of an engine file lies."""
    return engine.with_name(f"{engine.name}.json")


def require_fitting(engine: Path, library: Kind, version: str, gpu: str | None) -> dict[str, Any]:
    """Check that an engine file can be loaded here, and return its side-car.

    Args:
        engine: the engine file; its side-car and the ONNX file it was built from lie beside it.
        library: the library at hand.
        version: its version.
        gpu: the GPU at hand, None for none.

    Raises:
        InputError: the side-car is missing or damaged, or the engine is another file's, another
            library's, another version's, another GPU's or another ONNX file's; or there is no GPU.
    """
    stated = _require_pair(engine, FORMAT)
    if (stated.get("library"), stated.get("library_version")) != (library, version):
        built = f"{NAMES.get(stated.get('library', library), '?')} {stated.get('library_version')}"
        raise InputError(
            f"{engine}: was built by {built}, but {NAMES[library]} {version} is installed; "
            "install that version or export again"
        )
    if gpu is None:
        built = f"was built on a {stated['gpu']}" if stated.get("gpu") else "needs a GPU"
        raise InputError(
            f"{engine}: {built}, but this machine has no GPU; run the {ONNX_FILE} beside it"
        )
    if stated.get("gpu") not in (None, gpu):
        raise InputError(
            f"{engine}: was built on a {stated['gpu']}, but this machine has {gpu}; "
            "export again on the machine that runs it"
        )
    return stated


def require_bfloat16(file: Path) -> Path:
    """Check that a bfloat16 file was written beside its float32 one, and return that.

    Raises:
        InputError: the side-car is missing or damaged, or either file is another.
    """
    _require_pair(file, BFLOAT16)
    return file.with_name(ONNX_FILE)


def _require_pair(file: Path, form: str) -> dict[str, Any]:
    """Return the side-car of a file, after checking that both it and `ONNX_FILE` are meant."""
    stated = _read(path_of(file), form)
    if stated.get("engine_sha256") != _sha256(file):
        raise InputError(f"{file}: is not the engine its side-car was written for; export again")
    if stated.get("onnx_sha256") != _sha256(file.with_name(ONNX_FILE)):
        raise InputError(f"{file}: was not built from the {ONNX_FILE} beside it; export again")
    return stated


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error


def _read(file: Path, form: str) -> dict[str, Any]:
    try:
        stated = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: no readable side-car of an engine ({error})") from error
    if not isinstance(stated, dict) or stated.get("format") != form:
        raise InputError(f"{file}: not the side-car of an engine that pointcmt-export wrote")
    return stated
