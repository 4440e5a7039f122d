"""Clouds, and what makes an array a usable one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import XYZ
from pointcmt.geometry.resample import MAX_POINTS

MAX_COORDINATE = 1e18  # its square still fits float32, so that distances stay finite
FAR = 1000.0  # beyond this many times its own size from the origin, float32 would blur a cloud


@dataclass(frozen=True)
class Cloud:
    """The points of one object.

    Attributes:
        points: (N, C) float32, a row a point.
        channels: the names of the C columns: x, y, z, then nx, ny, nz (a unit normal), r, g, b
            (colours in [0, 1]) or whatever the file calls them.
        up: the vertical axis, "x", "y", "z", "-x", "-y" or "-z", if the format settles it.
    """

    points: NDArray[np.float32]
    channels: tuple[str, ...] = XYZ
    up: str | None = None


def require_cloud(points: ArrayLike, where: str, channels: int = 3) -> NDArray[np.float32]:
    """Return a usable cloud as (N, `channels`) float32.

    A cloud farther from the origin than 1,000 times its own size (a georeferenced scan) is moved
    to its centroid first, because float32 could not hold its shape there.

    Args:
        points: (N, C >= channels) numbers, x, y and z first; further columns are dropped.
        where: what to name in the message, e.g. the file.
        channels: how many columns to keep, 3 or more.

    Raises:
        InputError: the shape or type is wrong, or transposed; there are no points, too many, or
            only coincident ones; a value is NaN, infinite or above 1e18.
    """
    array = _as_array(points, where)
    if array.dtype.kind not in "fiu" or array.ndim != 2 or array.shape[1] < channels:
        raise InputError(
            f"{where}: the array is {array.shape} {array.dtype}; "
            f"a cloud is (N, {channels}) numbers, one row a point"
            f"{'; transpose it' if _looks_turned(array.shape) else ', x y z first'}"
        )
    if _looks_turned(array.shape):
        raise InputError(
            f"{where}: the array is {array.shape}, fewer points than channels; "
            f"a cloud is (N, {channels}) numbers, one row a point, so transpose it"
        )
    if not 1 <= len(array) <= MAX_POINTS:
        raise InputError(f"{where}: {len(array)} points; a cloud has 2 to {MAX_POINTS}")
    array = np.asarray(array[:, :channels])
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(
            f"{where}: point {row} has NaN or infinite coordinates; remove such points first"
        )
    cloud = np.empty(array.shape, np.float32)  # a copy: the source may be mapped
    cloud[:, :3] = _to_float32(array[:, :3], where)
    cloud[:, 3:] = array[:, 3:]
    return cloud


def _looks_turned(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] < shape[1] and shape[1] > 3 and shape[0] > 1


def _as_array(points: ArrayLike, where: str) -> NDArray[Any]:
    try:
        return np.asarray(points)
    except ValueError as error:
        raise InputError(f"{where}: the rows of a cloud must have one length ({error})") from error


def _to_float32(xyz: NDArray[Any], where: str) -> NDArray[np.float32]:
    # Column by column: along rows of three, numpy finds extremes ten times slower.
    low = np.array([column.min() for column in xyz.T], np.float64)  # (3,)
    high = np.array([column.max() for column in xyz.T], np.float64)
    distance, size = float(np.abs([low, high]).max()), float((high - low).max())
    if distance > MAX_COORDINATE:
        raise InputError(
            f"{where}: a coordinate is {distance:.3g}; they must be within {MAX_COORDINATE:.0g}"
        )
    if size == 0:
        raise InputError(
            f"{where}: all {len(xyz)} points coincide; a cloud needs two different points or more"
        )
    if distance > FAR * size:
        xyz = xyz - xyz.mean(axis=0, dtype=np.float64)
    if xyz.dtype == np.float32:
        return xyz
    cloud = np.asarray(xyz, dtype=np.float32)
    if not np.ptp(cloud, axis=0).any():
        raise InputError(f"{where}: the cloud is {size:.3g} wide, too small for float32; scale it")
    return cloud
