"""Reading the files of a run folder: a damaged one is one sentence that names it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pointcmt.data.tools.identity import Identity
from pointcmt.errors import InputError

Record = dict[str, float]

AGAIN = "damaged; remove it to compute it again"
CLASSIFIER, SEGMENTER = {"overall", "mean_class"}, {"instance_iou", "class_iou"}


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file is damaged.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {AGAIN}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: {AGAIN}")
    return value


def read_identity(path: Path) -> Identity:
    """Read `data.json`.

    Raises:
        InputError: the file is damaged.
    """
    value = read_json(path)
    for split in value.values():
        if not (
            isinstance(split, dict)
            and isinstance(split.get("classes"), dict)
            and isinstance(split.get("sha256"), str)
        ):
            raise InputError(f"{path}: {AGAIN}")
    return value


def read_result(path: Path) -> dict[str, Any]:
    """Read `result.json`, of a classifier or a part segmenter.

    Raises:
        InputError: the file is damaged.
    """
    value = read_json(path)
    student, seconds = value.get("student"), value.get("seconds")
    if not (isinstance(student, Mapping) and isinstance(seconds, Mapping)):
        raise InputError(f"{path}: {AGAIN}")
    classifies = student.keys() >= CLASSIFIER and value.keys() >= {"teacher", "confusion"}
    if not (classifies or student.keys() >= SEGMENTER):
        raise InputError(f"{path}: {AGAIN}")
    return value


def read_history(path: Path) -> list[Record]:
    """Read a JSONL history; a missing file is an empty one.

    Raises:
        InputError: the file is damaged.
    """
    if not path.is_file():
        return []
    try:
        records = [dict(json.loads(line)) for line in path.read_text().splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise _without_curves(path) from error
    for record in records:
        if "epoch" not in record or not all(isinstance(v, int | float) for v in record.values()):
            raise _without_curves(path)
    return records


def read_seconds(path: Path) -> dict[str, float]:
    """Sum the seconds of the clock and of the processors over a history.

    Raises:
        InputError: the file is damaged.
    """
    records, kinds = read_history(path), ("wall_seconds", "cpu_seconds")
    try:
        return {kind: sum(record[kind] for record in records) for kind in kinds}
    except KeyError as error:
        raise _without_curves(path) from error


def _without_curves(path: Path) -> InputError:
    return InputError(f"{path}: damaged; remove it to leave this stage's curves out")
