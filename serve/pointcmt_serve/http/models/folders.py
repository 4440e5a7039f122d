"""Folders of models on a disk: which versions they hold, and whether they changed."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pointcmt.errors import InputError
from pointcmt_serve.artefact import OPTIONS_FILE, find_model
from pointcmt_serve.http.settings import ModelSource, checked_name

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

Stamp = tuple[tuple[str, int, int, int, int], ...]


class Found(NamedTuple):
    """What a repository folder holds.

    Attributes:
        models: those that can be served, by name.
        skipped: why other folders that hold a model are not, by name.
    """

    models: dict[str, ModelSource]
    skipped: dict[str, str]


def versions(folder: Path) -> dict[str, Path]:
    """Return the versions in `folder` by number: its numbered subfolders, or itself as "1".

    Raises:
        InputError: it holds none.
        OSError: it cannot be read.
    """
    if folder.is_file() or holds_model(folder):
        return {ONLY: folder}
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    numbered = [f for f in inside if f.name.isascii() and f.name.isdigit()]
    found = {f.name: f for f in numbered if holds_model(f)}
    return found or {ONLY: find_model(folder).parent}  # which says in a sentence what is missing


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
        seen = (state.st_ino, state.st_mode, state.st_size, state.st_mtime_ns)
        found.append((file.name, *seen))
    return tuple(found)


def discover(repository: Path, taken: set[str]) -> Found:
    """Return the models in a repository folder: its subfolders that hold one, or cannot be read.

    Raises:
        InputError: `repository` is no folder, or cannot be read.
    """
    try:
        folders = sorted(repository.iterdir()) if repository.is_dir() else None
    except OSError as error:
        raise InputError(f"{repository}: cannot be read ({error.strerror})") from error
    if folders is None:
        raise InputError(f"{repository}: is no folder of models")
    found = Found({}, {})
    for folder in folders:
        name = folder.name
        if name.startswith(".") or not _may_hold_model(folder):
            continue
        try:
            if checked_name(name) in taken:
                raise InputError(f"{name!r} is the name of a model that the command names")
            found.models[name] = ModelSource(name, folder)
        except InputError as error:
            found.skipped[name] = str(error)
    return found


def _may_hold_model(folder: Path) -> bool:
    try:
        return folder.is_dir() and bool(versions(folder))
    except (InputError, FileNotFoundError, NotADirectoryError):  # or it went away meanwhile
        return False
    except OSError:
        return True


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
    check_threads(file, found)
    return found


def check_threads(where: object, chosen: dict[str, Any]) -> None:
    """Refuse a number of threads below 0.

    Raises:
        InputError: it is one.
    """
    if chosen.get("threads", 0) < 0:
        raise InputError(f"{where}: threads is {chosen['threads']}; give a number, or 0 for any")
