"""What an exported student says about itself, and where in a folder it lies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pointcmt.description import Described, check_description, parse_json
from pointcmt.errors import InputError
from pointcmt.geometry import XYZ
from pointcmt.parts import Parts
from pointcmt_serve.explain.maxima import Maxima, check_maxima
from pointcmt_serve.host_indices import Step, check_steps
from pointcmt_serve.pretrained import located, names
from pointcmt_serve.reported import require_reported

MODEL_FILE = "model.onnx"
OPTIONS_FILE = "serving.json"  # the user's own: how pointcmt-serve runs what lies in the folder
KEYS = ("classes", "points", "normalization", "student", "version", "provenance")
# What an older file does not state.
OLDER = {
    "channels": '["x", "y", "z"]',
    "up": "null",
    "parts": "{}",
    "inputs": "[]",
    "explain": "null",
}
JSON = ("classes", "provenance", "channels", "up", "parts")
PRECISIONS = ("fp32", "fp16", "bf16", "int8")
# They have files of their own beside the float32 one.
BESIDE: tuple[Literal["bf16", "int8"], ...] = ("bf16", "int8")
FEW_DIGITS = re.compile(r"[0-9]{1,9}")
LARGEST_FILE = 2**31  # bytes: the limit of one protobuf message, and so of an ONNX file


@dataclass(frozen=True)
class Artefact(Described):
    """The description an exporter leaves in an ONNX file's `metadata_props`.

    Attributes:
        file: the ONNX file.
        classes: the C class names; a classifier's logits are in their order.
        points: how many points a cloud has when it enters the network.
        normalization: a name in `pointcmt.geometry.NORMALIZATIONS`, as in training.
        student: the name of the network, such as "pointnet2-msg".
        version: the version of PointCMT that exported it.
        provenance: what made the weights (recipe, seed, data), as the exporter recorded it.
        channels: names of the C values of a point, x, y and z first.
        up: the vertical axis of the training clouds, see `pointcmt.channels`; None: not known.
        steps: how the host computes the graph's further inputs; empty for a graph that takes
            points alone.
        precision: of the heavy arithmetic, in `PRECISIONS`; coordinates are float32 always.
        parts: of a part segmenter: the names of each class's parts, in the order of its logits.
        maxima: how the network's maxima tell which points decide; None: the file does not say.
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
    precision: str = "fp32"
    parts: Parts = field(default_factory=dict)
    maxima: Maxima | None = None


def file_name(name: str, precision: str | None) -> str:
    """Return what pointcmt-export calls the file `name` in a precision, as `model.int8.onnx`.

    Raises:
        InputError: there is no such precision.
    """
    if precision not in (None, *PRECISIONS):
        raise InputError(f"unknown precision {precision!r}; use {' or '.join(PRECISIONS)}")
    path = Path(name)
    return f"{path.stem}.{precision}{path.suffix}" if precision in BESIDE else name


def find_model(path: Path | str) -> Path:
    """Return the ONNX file that `path` stands for, see `find_file`."""
    return find_file(path, MODEL_FILE)


def find_file(path: Path | str, name: str, form: str = "onnx") -> Path:
    """Return the file called `name` that `path`, an exported folder or that file, stands for.

    The name of a shipped student, see `pointcmt_serve.pretrained`, stands for its folder.
    The file may have been given another name; what it ends with counts.

    Args:
        path: the folder or the file.
        name: what pointcmt-export calls the file.
        form: the format of pointcmt-export that writes it.

    Raises:
        InputError: there is none, it is of another kind by its name, its size cannot be right, or
            it is another ONNX file than the export's report beside it lists.
    """
    path = located(Path(path))
    file = path / name if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise InputError(
            f"{path}: holds no {name}; give a folder that pointcmt-export --format {form} wrote"
        )
    if not file.is_file():
        shipped = "".join(f" or {student}" for student in names())
        raise InputError(f"{file}: no such file; give a {name} or an exported folder{shipped}")
    _check_kind(file, name)
    _check_size(file)
    if file.suffix.lower() == ".onnx":  # an engine's side-car binds it
        require_reported(file)
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
    if not all(isinstance(text, str) for entry in metadata.items() for text in entry):
        raise InputError(f"{file}: holds metadata that are no text")  # protobuf gives bytes then
    # Every entry counts: an ONNX file cut short between two of them still loads.
    missing = [key for key in KEYS if f"pointcmt.{key}" not in metadata]
    if missing:
        raise InputError(
            f"{file}: is no whole export of pointcmt-export "
            f"(no metadata {', '.join('pointcmt.' + key for key in missing)})"
        )
    held = {key.removeprefix("pointcmt."): value for key, value in metadata.items()}
    parsed = {key: _parsed(file, held, key) for key in JSON}
    stated = {
        **parsed,
        "student": held["student"],
        "points": int(held["points"]) if FEW_DIGITS.fullmatch(held["points"]) else held["points"],
        "normalization": held["normalization"],
    }
    check_description(stated, f"{file}: metadata pointcmt.")
    steps = check_steps(_parsed(file, held, "inputs"), f"{file}: metadata pointcmt.inputs")
    maxima = check_maxima(_parsed(file, held, "explain"), f"{file}: metadata pointcmt.explain")
    return Artefact(
        file=file,
        classes=tuple(stated["classes"]),
        points=stated["points"],
        normalization=stated["normalization"],
        student=stated["student"],
        version=held["version"],
        provenance=stated["provenance"],
        channels=tuple(stated["channels"]),
        up=stated["up"],
        steps=steps,
        precision=_precision(file, held),
        parts={name: tuple(parts) for name, parts in stated["parts"].items()},
        maxima=maxima,
    )


def _precision(file: Path, held: Mapping[str, str]) -> str:
    stated = held.get("precision", PRECISIONS[0])
    if stated not in PRECISIONS:
        raise InputError(
            f"{file}: metadata pointcmt.precision is {stated[:60]!r}, which is unknown"
        )
    return stated


def _parsed(file: Path, held: Mapping[str, str], key: str) -> Any:
    text = held.get(key, OLDER.get(key, ""))
    return parse_json(text, f"{file}: metadata pointcmt.{key}")
