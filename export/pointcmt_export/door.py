"""What forbids an export, found without torch, whose import alone takes seconds."""

import json
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from pointcmt.data import parse_reference
from pointcmt.description import HEADER, ModelConfig, read_config
from pointcmt.errors import InputError
from pointcmt.files import is_foreign
from pointcmt_export.formats import ALL, chosen_formats
from pointcmt_export.model_path import Kind, locate
from pointcmt_export.options import Options
from pointcmt_export.report import REPORT_FILE
from pointcmt_serve.artefact import OPTIONS_FILE


def require_possible(model: Path, out: Path, options: Options) -> None:
    """Refuse what cannot succeed, whatever the weights are.

    Raises:
        InputError: the place, the model's description or the flags forbid the export.
    """
    require_replaceable(out, model)
    for name in (options.data, options.calibration):
        if name is not None:
            parse_reference(name)
    config = _described(*locate(model))
    if config is not None and options.format != ALL:
        for form in chosen_formats(options.format):
            form.requires(config, options)


def require_replaceable(out: Path, model: Path) -> None:
    """Refuse to replace what is no export, or holds more than that.

    Args:
        out: the folder that an export replaces.
        model: what is exported.

    Raises:
        InputError: `out` is a file, or a folder with something else inside, perhaps the model.
    """
    if out.is_file():
        raise InputError(f"{out}: is a file; name a folder for the export")
    if out.is_dir() and any(out.iterdir()) and not (out / REPORT_FILE).is_file():
        raise InputError(
            f"{out}: holds something other than an export, which would be replaced; "
            "name an empty or a new folder"
        )
    others = sorted(_others(out)) if out.is_dir() else []
    if others or out.resolve() in model.resolve().parents:
        lost = others[0] if others else model
        raise InputError(
            f"{out}: holds {lost}, which its {REPORT_FILE} does not list and which would be lost; "
            "name a new folder"
        )


def keep_options(out: Path, fresh: Path) -> None:
    """Take the user's serving options from the export that is replaced into the new one."""
    if (out / OPTIONS_FILE).is_file():
        shutil.copyfile(out / OPTIONS_FILE, fresh / OPTIONS_FILE)


def _others(out: Path) -> Iterator[str]:
    """Yield the files in an exported folder that the export did not write, nor a system."""
    written = {REPORT_FILE, OPTIONS_FILE, *_listed(out / REPORT_FILE)}
    for file in filter(Path.is_file, out.rglob("*")):
        name = file.relative_to(out)
        if name.as_posix() not in written and not any(map(_is_systems, name.parts)):
            yield name.as_posix()


def _listed(report: Path) -> Collection[str]:
    """The files that an export wrote, by their relative names; none where nobody can tell."""
    try:
        return frozenset(json.loads(report.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _is_systems(name: str) -> bool:
    return is_foreign(name) or name == "__pycache__"


def _described(kind: Kind, place: Path) -> ModelConfig | None:
    """What a model says of itself; None where a checkpoint's whole content must tell its fault."""
    if kind != "training checkpoint":
        return read_config(place)
    try:
        with safe_open(place, framework="np") as handle:
            header = (handle.metadata() or {}).get(HEADER)
    except (OSError, SafetensorError):
        return None
    return None if header is None else ModelConfig.from_json(header, str(place))
