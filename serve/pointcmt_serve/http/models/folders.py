"""Folders of models on a disk: which versions they hold, and whether they changed."""

import json
from pathlib import Path
from typing import Any

from pointcmt.errors import InputError
from pointcmt_serve.http.settings import ModelSource, checked_name

OPTIONS_FILE = "serving.json"
OPTIONS = {
    "engine": str,
    "device": str,
    "threads": int,
    "precision": str,
    "up": str,
    "votes": int,
}
MODEL = "model.*"  # model.onnx, model.engine, ...
ONLY = "1"  # the version of a folder without numbered ones

Stamp = tuple[tuple[str, int, int, int], ...]


def versions(folder: Path) -> dict[str, Path]:
    """Return the versions in `folder` by number: its numbered subfolders, or itself as "1"."""
    if not folder.is_dir() or holds_model(folder):
        return {ONLY: folder}
    numbered = [f for f in folder.iterdir() if f.name.isascii() and f.name.isdigit()]
    return {f.name: f for f in numbered if holds_model(f)} or {ONLY: folder}


def holds_model(folder: Path) -> bool:
    """Return whether an exported folder's file lies in `folder`."""
    return any(folder.glob(MODEL))


def stamp(folder: Path) -> Stamp:
    """Return what changes when a file of an exported folder is replaced."""
    files = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    found = []
    for file in files:
        try:
            state = file.stat()
        except OSError:  # it went away between the two looks
            continue
        found.append((file.name, state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)


def discover(repository: Path, skipped: set[str]) -> dict[str, ModelSource]:
    """Return the models in a repository folder by name: its subfolders that hold one.

    Raises:
        InputError: `repository` is no folder.
    """
    if not repository.is_dir():
        raise InputError(f"{repository}: is no folder of models")
    found = {}
    for folder in sorted(repository.iterdir()):
        named = folder.name not in skipped and not folder.name.startswith(".")
        if named and any(map(holds_model, versions(folder).values())):
            found[folder.name] = ModelSource(checked_name(folder.name), folder)
    return found


def options(folder: Path) -> dict[str, Any]:
    """Return what `serving.json` in a model's folder says of how it is run.

    Raises:
        InputError: it is no such file.
    """
    file = folder / OPTIONS_FILE
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{file}: is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{file}: is no JSON object")
    for key, value in found.items():
        if key not in OPTIONS or type(value) is not OPTIONS[key]:
            raise InputError(f"{file}: {key} = {value!r} is none of {', '.join(OPTIONS)}")
    return found
