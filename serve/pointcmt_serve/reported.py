"""Whether an ONNX file is the one that the report beside it was written for."""

import hashlib
import json
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt_serve.hub import REPORT


def require_reported(file: Path) -> None:
    """Compare a file with its sha256 in the export's report, where one beside it states that.

    Raises:
        InputError: it is another file, as after a copy of half a folder.
    """
    stated = _stated(file)
    if stated is None:
        return
    try:
        with file.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    if found != stated:
        raise InputError(
            f"{file}: is not the file that the {REPORT} beside it lists; copy the whole folder "
            "again, or export the model again"
        )


def _stated(file: Path) -> str | None:
    """Return the sha256 that a report gives; None where there is none, or one of another form."""
    try:
        report = json.loads((file.parent / REPORT).read_text(encoding="utf-8"))
        return str(report["files"][file.name])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
