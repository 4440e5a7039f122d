"""What an exported student says about itself, and where in a folder it lies."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointcmt.channels import require_channels, require_vertical
from pointcmt.errors import InputError
from pointcmt.geometry import NORMALIZATIONS, XYZ
from pointcmt_serve.host_indices import Step, check_steps

MODEL_FILE = "model.onnx"
KEYS = ("classes", "points", "normalization", "student", "version", "provenance")
LARGEST_FILE = 2**31  # bytes: the limit of one protobuf message, and so of an ONNX file


@dataclass(frozen=True)
class Artefact:
    """The description an exporter leaves in an ONNX file's `metadata_props`.

    Attributes:
        file: the ONNX file.
        classes: the C class names, in the order of the logits.
        points: how many points a cloud has when it enters the network.
        normalization: a name in `pointcmt.geometry.NORMALIZATIONS`, as in training.
        student: the name of the network, such as "pointnet2-msg".
        version: the version of PointCMT that exported it.
        provenance: what made the weights (recipe, seed, data), as the exporter recorded it.
        channels: names of the C values of a point, x, y and z first.
        up: the vertical axis of the training clouds, see `pointcmt.channels`; None: not known.
        steps: how the host computes the graph's further inputs; empty for a graph that takes
            points alone.
    """

    file: Path
    classes: tuple[str, ...]
    points: int
    normalization: str
    student: str
    version: str
    provenance: Mapping[str, Any]
    channels: tuple[str, ...] = XYZ
    up: str | None = None
    steps: tuple[Step, ...] = ()


def find_model(path: Path | str) -> Path:
    """Return the ONNX file that `path` stands for, see `find_file`."""
    return find_file(path, MODEL_FILE)


def find_file(path: Path | str, name: str) -> Path:
    """Return the file called `name` that `path`, an exported folder or that file, stands for.

    An ONNX file, and any engine, may have been given another name; what it ends with counts.

    Raises:
        InputError: there is none, it is of another kind by its name, or its size cannot be right.
    """
    path = Path(path)
    file = path / name if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise InputError(
            f"{path}: holds no {name}; give an exported folder, as pointcmt-export writes it"
        )
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a {name} or an exported folder")
    _check_kind(file, name)
    _check_size(file)
    return file


def _check_kind(file: Path, name: str) -> None:
    kind = Path(name).suffix
    if file.suffix.lower() == kind:
        return
    if file.suffix.lower() == ".engine":
        raise InputError(
            f"{file}: is run with engine tensorrt or tensorrt-rtx alone; give the {name} beside it"
        )
    raise InputError(f"{file}: is not an {kind} file; export the model with pointcmt-export")


def _check_size(file: Path) -> None:
    size = file.stat().st_size
    if size == 0:
        raise InputError(f"{file}: is empty; export the model again")
    if size > LARGEST_FILE and file.suffix.lower() == ".onnx":
        raise InputError(f"{file}: has {size} bytes, but an ONNX file has at most {LARGEST_FILE}")


def describe(file: Path, metadata: Mapping[str, str]) -> Artefact:
    """Read `metadata` (an ONNX file's `metadata_props`) and check every entry.

    Raises:
        InputError: an entry is missing or makes no sense, so `file` is no PointCMT export.
    """
    # Every entry counts: an ONNX file cut short between two of them still loads.
    missing = [key for key in KEYS if f"pointcmt.{key}" not in metadata]
    if missing:
        raise InputError(
            f"{file}: is no whole export of pointcmt-export "
            f"(no metadata {', '.join('pointcmt.' + key for key in missing)})"
        )
    return Artefact(
        file=file,
        classes=_classes(file, metadata["pointcmt.classes"]),
        points=_points(file, metadata["pointcmt.points"]),
        normalization=_normalization(file, metadata["pointcmt.normalization"]),
        student=metadata["pointcmt.student"],
        version=metadata["pointcmt.version"],
        provenance=_provenance(file, metadata["pointcmt.provenance"]),
        channels=_channels(file, metadata.get("pointcmt.channels")),
        up=_up(file, metadata.get("pointcmt.up", "null")),
        steps=_steps(file, metadata.get("pointcmt.inputs", "[]")),
    )


def _classes(file: Path, text: str) -> tuple[str, ...]:
    names = _json(file, "classes", text)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(f"{file}: metadata pointcmt.classes is not a JSON list of names")
    return tuple(names)


def _points(file: Path, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{file}: metadata pointcmt.points is {text!r}, not a positive number")
    return int(text)


def _normalization(file: Path, text: str) -> str:
    if text not in NORMALIZATIONS:
        raise InputError(
            f"{file}: metadata pointcmt.normalization is {text!r}, "
            f"but this version knows {', '.join(NORMALIZATIONS)}"
        )
    return text


def _provenance(file: Path, text: str) -> dict[str, Any]:
    value = _json(file, "provenance", text)
    if not isinstance(value, dict):
        raise InputError(f"{file}: metadata pointcmt.provenance is not a JSON object")
    return value


def _channels(file: Path, text: str | None) -> tuple[str, ...]:
    named = XYZ if text is None else _json(file, "channels", text)
    return require_channels(named, f"{file}: metadata pointcmt.channels")


def _up(file: Path, text: str) -> str | None:
    return require_vertical(_json(file, "up", text), f"{file}: metadata pointcmt.up")


def _steps(file: Path, text: str) -> tuple[Step, ...]:
    return check_steps(_json(file, "inputs", text), f"{file}: metadata pointcmt.inputs")


def _json(file: Path, key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{file}: metadata pointcmt.{key} is not JSON") from error
