"""What forbids an export, found without torch, whose import alone takes seconds."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from pointcmt.data import parse_reference
from pointcmt.description import HEADER, ModelConfig, read_config
from pointcmt.errors import InputError
from pointcmt_export.formats import ALL, chosen_formats
from pointcmt_export.model_path import Kind, locate
from pointcmt_export.options import Options
from pointcmt_export.report import REPORT_FILE


def require_possible(model: Path, out: Path, options: Options) -> None:
    """Refuse what cannot succeed, whatever the weights are.

    Raises:
        InputError: the place, the model's description or the flags forbid the export.
    """
    require_replaceable(out)
    for name in (options.data, options.calibration):
        if name is not None:
            parse_reference(name)
    config = _described(*locate(model))
    if config is not None and options.format != ALL:
        for form in chosen_formats(options.format):
            form.requires(config, options)


def require_replaceable(out: Path) -> None:
    """Refuse to replace what is no export.

    Raises:
        InputError: `out` is a file, or a folder with something else inside.
    """
    if out.is_file():
        raise InputError(f"{out}: is a file; name a folder for the export")
    if out.is_dir() and any(out.iterdir()) and not (out / REPORT_FILE).is_file():
        raise InputError(
            f"{out}: holds something other than an export, which would be replaced; "
            "name an empty or a new folder"
        )


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
