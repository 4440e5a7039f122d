"""Checks at the door: what a data set's files hold must be clouds and labels of its classes."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointcmt.errors import InputError

SPLITS = ("train", "test")
LARGEST = 1e18  # its square still fits float32, so that distances stay finite
CHUNK = 256  # clouds checked at a time, so that a memory-mapped set stays on disk


def require_split(split: str, splits: tuple[str, ...] = SPLITS) -> None:
    """Raise an `InputError` unless `split` is one of `splits`."""
    if split not in splits:
        raise InputError(f"unknown split {split!r}: use one of {', '.join(splits)}")


def require_folder(folder: Path, what: str) -> None:
    """Raise an `InputError` unless `folder` exists and is a folder."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; {what} was expected there")


def inside(root: Path | str, name: str) -> Path:
    """Return the folder `name` in `root` if there is one, else `root` itself."""
    root = Path(root)
    return root / name if (root / name).is_dir() else root


def require_points(points: int | None, stored: int, where: Path | str) -> None:
    """Raise an `InputError` unless `points` of each cloud, or with None all, are stored."""
    if points is not None and not 1 <= points <= stored:
        raise InputError(
            f"{where}: {points} points a cloud were asked for, but each has {stored}; "
            f"ask for 1 to {stored}"
        )


def require_finite(points: NDArray[np.float32], where: Path | str) -> None:
    """Raise an `InputError` that names the first cloud with a NaN, infinite or absurd value.

    Args:
        points: (n, N, C).
        where: the file they came from.
    """
    for start in range(0, len(points), CHUNK):
        # A comparison with NaN is false.
        finite = (np.abs(points[start : start + CHUNK]) <= LARGEST).all(axis=(1, 2))  # (n,)
        if not finite.all():
            cloud = start + int(np.flatnonzero(~finite)[0])
            raise InputError(
                f"{where}: cloud {cloud} has values that are NaN, infinite or beyond "
                f"{LARGEST:.0e}; every coordinate must be a finite number"
            )


def require_labels(labels: ArrayLike, classes: int, where: Path | str) -> NDArray[np.int64]:
    """Return labels as (n,) int64, or raise an `InputError` that names the first wrong one.

    Args:
        labels: (n,) or (n, 1) integers.
        classes: the number of classes.
        where: the file they came from.
    """
    raw = np.asarray(labels)
    if raw.dtype.kind not in "iu" or raw.ndim not in (1, 2) or raw.size != len(raw):
        raise InputError(
            f"{where}: labels are {raw.shape} {raw.dtype}; (n,) or (n, 1) integers were expected"
        )
    flat = raw.reshape(-1).astype(np.int64)
    wrong = np.flatnonzero((flat < 0) | (flat >= classes))
    if len(wrong):
        raise InputError(
            f"{where}: cloud {wrong[0]} has label {flat[wrong[0]]}; "
            f"labels must be 0 to {classes - 1} for {classes} classes"
        )
    return flat


def require_known(what: str, value: object, known: Collection[object]) -> None:
    """Raise an `InputError` unless a setting is one of the known values."""
    if value not in known:
        raise InputError(f"unknown {what} {value!r}: use one of {', '.join(map(str, known))}")
