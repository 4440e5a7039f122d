"""Bringing a cloud to a stated number of points."""

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

MAX_POINTS = 50_000_000  # 600 MB as float32; more is hardly one object


def require_count(count: int) -> None:
    """Raise an `InputError` unless `count` points are a sensible cloud."""
    if not 1 <= count <= MAX_POINTS:
        raise InputError(f"{count} points were asked for; ask for 1 to {MAX_POINTS}")


def resample(points: NDArray[np.float32], count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return exactly `count` points.

    The rule: with `count` points the cloud is returned as it is; with more, a random subset
    without repetition in the original order; with fewer, all points followed by whole repeats of
    the cloud and a random subset for the rest. Points are never invented.

    Args:
        points: (N, C).
        count: 1 to 50 million.
        seed: the same seed gives the same points.

    Returns:
        (count, C), of the dtype of `points`.

    Raises:
        InputError: there are no points, or `count` is out of range.
    """
    if points.ndim != 2 or len(points) == 0:
        raise InputError(f"the cloud is {points.shape}; (N, 3) with at least one point is needed")
    require_count(count)
    if len(points) == count:
        return np.ascontiguousarray(points)
    return np.ascontiguousarray(points[resampled_rows(len(points), count, seed)])


def resampled_rows(given: int, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return which of the `given` points `resample` takes, (count,)."""
    repeats, rest = divmod(count, given)
    if not rest:
        return np.tile(np.arange(given), repeats)
    chosen = np.sort(np.random.default_rng(seed).permutation(given)[:rest])
    return np.concatenate([np.tile(np.arange(given), repeats), chosen])
