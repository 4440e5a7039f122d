"""Which indices rounding excuses: the choices that float32 leaves open, told from wrong ones.

The index ops compare squared distances d = dx*dx + dy*dy + dz*dz of float32 coordinates. An engine
may contract a multiplication with an addition, or add in another order, and so choose another of
two points at nearly the same distance. However it does that, a term of the sum passes at most five
roundings (the difference, which counts twice when squared; the square; two sums), each a factor
1 + e with |e| <= u = 2**-24. No term is negative, so what is computed for d lies within
d (1 - ROUNDING) and d (1 + ROUNDING), ROUNDING = 5u / (1 - 5u) (Higham, Accuracy and Stability of
Numerical Algorithms, lemma 3.1), and UNDERFLOW of that where an engine flushes the smallest numbers
to zero. Here d is computed in float64, and a choice is excused where these ranges allow it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt_export.convert.host_steps import XYZ, HostStep

UNIT = 2.0**-24  # the largest relative error of one rounding in float32
ROUNDING = 5 * UNIT / (1 - 5 * UNIT)
UNDERFLOW = 8 * 2.0**-126  # eight times the least normal number
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
Clouds = NDArray[np.bool_]  # (B,)


def excused(
    steps: Sequence[HostStep], points: NDArray[np.float32], chosen: Mapping[str, Indices]
) -> dict[str, Clouds]:
    """Say of each step and cloud whether an engine that only rounds otherwise may choose so.

    Each step is judged on the points that the engine itself chose before.

    Args:
        steps: how indices follow from coordinates.
        points: (B, N, C) clouds; x, y and z are read.
        chosen: what the engine chose, by the step's input, each (B, ...).

    Returns:
        (B,) bool by the step's input.
    """
    sets: dict[str, Doubles] = {XYZ: points[..., :3].astype(np.float64)}
    found = {}
    for step in steps:
        arrays = {name: sets[place] for name, place in step.sets.items()}
        count = arrays[SOURCE[step.op]].shape[1]
        index = chosen[step.input]
        real = ((index >= 0) & (index < count)).reshape(len(points), -1).all(1)
        index = index.clip(0, count - 1)
        judge = JUDGES[step.op]
        verdicts = [
            judge(index[b], **{name: array[b] for name, array in arrays.items()}, **step.numbers)
            for b in range(len(points))
        ]
        found[step.input] = real & np.array(verdicts, dtype=bool)
        if step.op == "farthest_point_sample":
            sets[step.input] = np.take_along_axis(arrays["xyz"], index[..., None], axis=1)
    return found


def _sampled(chosen: Indices, xyz: Doubles, m: int) -> bool:
    """Whether each of `chosen` (m,) may be the farthest of xyz (N, 3) from those before."""
    nearest = np.full(len(xyz), np.inf)
    for last, pick in pairwise(chosen):
        nearest = np.minimum(nearest, np.square(xyz - xyz[last]).sum(1))
        if _most(nearest[pick]) < _least(nearest.max()):
            return False
    return bool(chosen[0] == 0)


def _in_balls(chosen: Indices, xyz: Doubles, centers: Doubles, radius: float, k: int) -> bool:
    """Whether rows of `chosen` (M, k) may be the first k of xyz (N, 3) in the balls of M centres.

    A ball holds the points that lie in it for certain and any of those for which rounding decides.
    A row lists it in rising order and is filled up with its first entry; the row of an empty ball
    repeats the nearest point.
    """
    squared = _squared_distances(centers, xyz)  # (M, N)
    limit = float(np.float32(radius) * np.float32(radius))
    certain, possible = _most(squared) < limit, _least(squared) < limit
    first, rank = chosen[:, :1], np.arange(k)
    listed = 1 + np.cumprod(np.diff(chosen) > 0, axis=1).sum(1, keepdims=True)  # (M, 1)
    filled = ((rank < listed) | (chosen == first)).all(1)
    taken = np.zeros(squared.shape, dtype=bool)
    np.put_along_axis(taken, chosen, True, axis=1)
    last = np.take_along_axis(chosen, listed - 1, axis=1)
    due = certain & ((listed < k) | (np.arange(len(xyz)) < last))
    right = filled & (possible | ~taken).all(1) & (taken | ~due).all(1)
    nearest = _least(np.take_along_axis(squared, first, axis=1))[:, 0] <= _most(squared.min(1))
    empty = ~certain.any(1) & (chosen == first).all(1) & nearest
    return bool((right | empty).all())


def _neighbours(chosen: Indices, query: Doubles, points: Doubles, k: int) -> bool:
    """Whether rows of `chosen` (M, k) may be the k of points (N, 3) nearest to M queries."""
    squared = _squared_distances(query, points)  # (M, N)
    near = np.take_along_axis(squared, chosen, axis=1)  # (M, k)
    farthest_yet = np.maximum.accumulate(_least(near), axis=1)
    ordered = (farthest_yet <= _most(near)).all()
    distinct = (np.diff(np.sort(chosen, axis=1)) > 0).all()
    np.put_along_axis(squared, chosen, np.inf, axis=1)
    return bool(ordered and distinct and (farthest_yet[:, -1] <= _most(squared.min(1))).all())


def _squared_distances(a: Doubles, b: Doubles) -> Doubles:
    """Squared distances (M, N) of a (M, 3) to b (N, 3)."""
    return sum(np.square(a[:, None, axis] - b[None, :, axis]) for axis in range(3))  # type: ignore[return-value]


def _least(squared: Any) -> Any:
    """The least that an engine may compute for a squared distance."""
    return squared * (1 - ROUNDING) - UNDERFLOW


def _most(squared: Any) -> Any:
    """The most that an engine may compute for a squared distance."""
    return squared * (1 + ROUNDING) + UNDERFLOW


JUDGES: dict[str, Callable[..., bool]] = {
    "farthest_point_sample": _sampled,
    "ball_query": _in_balls,
    "knn": _neighbours,
}
SOURCE = {"farthest_point_sample": "xyz", "ball_query": "xyz", "knn": "points"}  # what is chosen of
