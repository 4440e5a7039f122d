"""Turning clouds from their vertical axis to another, such as a model's."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import NORMALS, XYZ

AXES = ("x", "y", "z", "-x", "-y", "-z")
VECTORS = (XYZ, NORMALS)  # channels that turn together


def rotation(source: str, target: str) -> NDArray[np.float64]:
    """Return the shortest rotation (3, 3) that takes the axis `source` to `target`.

    From z to y it is (x, y, z) -> (x, z, -y), as converters to glTF do it; a half turn goes about
    the first axis beside it in the order x, y, z.

    Args:
        source: one of `AXES`.
        target: one of `AXES`.

    Raises:
        InputError: an axis is unknown.
    """
    start, end = _vector(source), _vector(target)
    if start @ end > 0:
        return np.eye(3)
    if start @ end < 0:
        about = np.eye(3)[int(np.flatnonzero(start == 0)[0])]
        return 2 * np.outer(about, about) - np.eye(3)
    about = np.cross(start, end)
    return np.outer(end, start) - np.outer(start, end) + np.outer(about, about)


def turn(
    points: NDArray[np.float32], source: str, target: str, channels: Sequence[str] = XYZ
) -> NDArray[np.float32]:
    """Turn clouds so that their vertical axis `source` becomes `target`, exactly.

    Args:
        points: (..., N, C), one cloud or a batch.
        source: the vertical axis of `points`, one of `AXES`.
        target: the axis it shall become.
        channels: the names of the C columns; coordinates and normals turn, others stay.

    Returns:
        A new array of the same shape and dtype.

    Raises:
        InputError: an axis is unknown.
    """
    return _apply(rotation(source, target), points, channels)


def half_turn(
    points: NDArray[np.float32], axis: str, channels: Sequence[str] = XYZ
) -> NDArray[np.float32]:
    """Turn clouds (..., N, C) by 180 degrees about an axis; see `turn`."""
    about = _vector(axis)
    return _apply(2 * np.outer(about, about) - np.eye(3), points, channels)


def _apply(
    exact: NDArray[np.float64], points: NDArray[np.float32], channels: Sequence[str]
) -> NDArray[np.float32]:
    matrix, turned = exact.astype(points.dtype), points.copy()
    for names in VECTORS:
        if set(names) <= set(channels):
            columns = [list(channels).index(name) for name in names]
            turned[..., columns] = points[..., columns] @ matrix.T
    return turned


def _vector(axis: str) -> NDArray[np.float64]:
    if axis not in AXES:
        raise InputError(f"unknown axis {axis!r}: use one of {', '.join(AXES)}")
    vector = np.zeros(3)
    vector["xyz".index(axis[-1])] = -1.0 if axis.startswith("-") else 1.0
    return vector
