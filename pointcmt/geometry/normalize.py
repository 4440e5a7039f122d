"""The named rules that bring clouds to one place and size; a model folder names its rule."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

Rule = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]


def _unit_sphere(xyz: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    center = xyz.mean(axis=-2, keepdims=True)  # (..., 1, 3)
    moved = xyz - center
    square = np.einsum("...i,...i->...", moved, moved)  # (..., N)
    return center, np.sqrt(square.max(axis=-1))


def _unit_box(xyz: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = xyz.min(axis=-2, keepdims=True), xyz.max(axis=-2, keepdims=True)  # (..., 1, 3)
    return (low + high) / 2, (high - low)[..., 0, :].max(axis=-1)


def _centered(xyz: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return xyz.mean(axis=-2, keepdims=True), np.ones(xyz.shape[:-2])


def _none(xyz: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.zeros(3), np.ones(xyz.shape[:-2])


RULES: dict[str, Rule] = {
    "unit-sphere": _unit_sphere,
    "unit-box": _unit_box,
    "centered": _centered,
    "none": _none,
}
NORMALIZATIONS = tuple(RULES)


def normalize(points: NDArray[np.floating], rule: str) -> NDArray[np.float32]:
    """Move and scale clouds by a named rule; all axes share one scale, nothing is rotated.

    - `unit-sphere`: the centroid goes to the origin, the farthest point to distance 1 (the
      convention of ModelNet40's HDF5 files and of PointNet++).
    - `unit-box`: the middle of the bounding box goes to the origin, its longest side becomes 1.
    - `centered`: the centroid goes to the origin, the scale is kept.
    - `none`: nothing changes.

    Args:
        points: (..., N, C >= 3), one cloud or a batch; channels after the third (normals) are
            kept as they are.
        rule: one of `NORMALIZATIONS`.

    Returns:
        An array of the same shape, float32; computed in float64.

    Raises:
        InputError: the rule is unknown, a cloud is empty, of the wrong shape or not finite, or
            its extent is zero or beyond float64.
    """
    if rule not in RULES:
        raise InputError(f"unknown normalisation {rule!r}: use one of {', '.join(RULES)}")
    if points.ndim < 2 or points.shape[-1] < 3 or points.shape[-2] == 0:
        raise InputError(f"the cloud is {points.shape}; (N, 3) with at least one point is needed")
    xyz = points[..., :3].astype(np.float64)
    if not np.isfinite(xyz).all():
        raise InputError("the cloud has NaN or infinite coordinates; remove such points first")
    with np.errstate(over="ignore"):
        center, scale = RULES[rule](xyz)
    if not np.isfinite(scale).all():
        raise InputError("the cloud is too large for its extent to be computed; scale it down")
    if not (scale > 0).all():
        raise InputError(f"all points of a cloud coincide; {rule} needs two different points")
    result = np.empty(points.shape, dtype=np.float32)
    xyz -= center  # in place: a cloud may have millions of points
    xyz /= scale[..., None, None]
    result[..., :3] = xyz
    result[..., 3:] = points[..., 3:]
    return result
