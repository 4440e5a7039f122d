"""Exported folders on the Hugging Face hub, fetched into its cache and checked by their hashes."""

import hashlib
import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from pointcmt.errors import InputError

PREFIX = "hf:"
REFERENCE = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
REPORT = "export_report.json"
WANTED = ["*.onnx", "*.engine", "*.json", "*.safetensors", "*README.md"]  # nothing that runs code
SHA256 = re.compile(r"[0-9a-f]{64}")


def is_reference(path: Path | str) -> bool:
    """Return whether `path` names a repository of the hub, as "hf:owner/name" does."""
    return isinstance(path, str) and path.startswith(PREFIX)


def fetched(reference: str, revision: str | None = None) -> Path:
    """Return the folder of a repository's files, downloading what the cache lacks.

    Every file whose sha256 the export's report states must have it, and so must every large one,
    which the hub names by its sha256. The server is HF_ENDPOINT, the cache HF_HOME, and a token
    HF_TOKEN, as everywhere with `huggingface_hub`.

    Args:
        reference: "hf:owner/name" or "hf:owner/name@revision".
        revision: a branch, tag or commit; a commit's files never change.

    Raises:
        InputError: the reference is none, `huggingface_hub` is not installed, the hub does not give
            the files, they hold no export, or a hash differs.
    """
    match = REFERENCE.fullmatch(reference)
    if match is None or (match[2] and revision):
        raise InputError(
            f"{reference}: is no repository of the hub; write hf:OWNER/NAME or "
            "hf:OWNER/NAME@REVISION, and the revision once"
        )
    folder = _downloaded(reference, match[1], match[2] or revision)
    _require_hashes(reference, folder)
    return folder


def _downloaded(reference: str, repository: str, revision: str | None) -> Path:
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError(
            f"{reference}: needs huggingface_hub; install it with: pip install 'pointcmt[hub]'"
        ) from error
    try:
        folder = huggingface_hub.snapshot_download(
            repository,
            revision=revision,
            allow_patterns=WANTED,
            endpoint=os.environ.get("HF_ENDPOINT"),
        )
    except Exception as error:  # a dozen types, of the network, the server and the disk
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{reference}: cannot be fetched ({reason})") from error
    return Path(folder)


def _require_hashes(reference: str, folder: Path) -> None:
    for name, digest in _stated(reference, folder).items():
        file = folder / name
        if not file.is_file():
            if any(PurePosixPath(name).match(pattern) for pattern in WANTED):
                raise InputError(f"{reference}: lacks {name}, which its {REPORT} lists")
        elif _sha256(file) != digest:
            raise InputError(f"{reference}: {name} is not the file that its {REPORT} lists")
    for file in filter(Path.is_file, folder.rglob("*")):
        blob = file.resolve().name  # in the cache a file's name is the server's ETag
        if SHA256.fullmatch(blob) and _sha256(file) != blob:
            raise InputError(
                f"{reference}: {file.name} is damaged in {file.resolve()}; delete that file"
            )


def _stated(reference: str, folder: Path) -> dict[str, str]:
    try:
        report: Any = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        files = {str(name): str(digest) for name, digest in report["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{reference}: holds no {REPORT} with its files' hashes; push a whole folder that "
            "pointcmt-export wrote"
        ) from error
    outside = [n for n in files if PurePosixPath(n).is_absolute() or ".." in PurePosixPath(n).parts]
    if outside:
        raise InputError(f"{reference}: its {REPORT} lists {outside[0]!r} outside its folder")
    return files


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
