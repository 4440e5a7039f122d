"""The ops for numpy arrays, in C++ behind a plain C ABI; needs no torch.

Where the library was not built, numpy (for the matching: scipy) computes the same indices more
slowly, after one `MissingBackendWarning`. Arrays may have any floating dtype and layout; the
sampling and neighbour ops compare squared distances in float32, the matching is computed in
float64.

`threads` is the number of threads to use; by default OMP_NUM_THREADS, else all processors at hand.
The result does not depend on it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt import op_arguments
from pointcmt.native import library, plain
from pointcmt.native.library import MissingBackendWarning, default_threads, instruction_set

__all__ = [
    "MissingBackendWarning",
    "available",
    "ball_query",
    "default_threads",
    "emd_matching",
    "emd_prices",
    "farthest_point_sample",
    "gathered_maximum",
    "instruction_set",
    "knn",
]

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]


def available() -> bool:
    """Whether the compiled library is here."""
    return library.load() is not None


def farthest_point_sample(xyz: Floats, m: int, threads: int | None = None) -> Indices:
    """Choose m points, starting with point 0, each the farthest from those chosen before.

    Args:
        xyz: (B, N, 3) points.
        m: how many to choose, 1 <= m <= N.
        threads: see the module.

    Returns:
        (B, m) indices; where distances are equal the lowest index is chosen.

    Raises:
        ValueError: a shape or a number is out of range, or xyz is not finite.
        TypeError: xyz is not a floating array, or m is not a whole number.
    """
    _floating(xyz=xyz)
    op_arguments.farthest_point_sample(xyz, m)
    _finite(xyz=xyz)
    xyz = library.dense(xyz, np.float32)
    if not _compiled():
        return plain.farthest_point_sample(xyz, m)
    batch, points, _ = xyz.shape
    chosen = np.empty((batch, m), np.int64)
    library.call("farthest_point_sample", xyz, batch, points, m, chosen, _threads(threads))
    return chosen


def ball_query(
    xyz: Floats, centers: Floats, radius: float, k: int, threads: int | None = None
) -> Indices:
    """Find the first k points, in index order, within a radius of each centre.

    Args:
        xyz: (B, N, 3) points, N >= 1.
        centers: (B, M, 3) centres.
        radius: zero or more; a point is within when its squared distance is below
            float32(radius) squared.
        k: how many to find, at least 1; it may exceed N.
        threads: see the module.

    Returns:
        (B, M, k) indices; too few are padded with the first, none with the nearest point.

    Raises:
        ValueError: a shape or a number is out of range, or an array is not finite.
        TypeError: an array is not floating, or k is not a whole number.
    """
    _floating(xyz=xyz, centers=centers)
    op_arguments.ball_query(xyz, centers, radius, k)
    _finite(xyz=xyz, centers=centers)
    xyz, centers = library.dense(xyz, np.float32), library.dense(centers, np.float32)
    if not _compiled():
        return plain.ball_query(xyz, centers, radius, k)
    batch, points, _ = xyz.shape
    found = np.empty((*centers.shape[:2], k), np.int64)
    sizes = (batch, points, centers.shape[1])
    library.call("ball_query", xyz, centers, *sizes, radius, k, found, _threads(threads))
    return found


def knn(
    query: Floats, points: Floats, k: int, threads: int | None = None, *, check_finite: bool = True
) -> Indices:
    """Find the k nearest points of each query, nearest first.

    Args:
        query: (B, M, C) queries, C >= 1.
        points: (B, N, C) points.
        k: how many to find, 1 <= k <= N.
        threads: see the module.
        check_finite: look for NaN and infinity; where that is not done and there are some, any
            indices in [0, N) may come back.

    Returns:
        (B, M, k) indices; where distances are equal the lower index comes first.

    Raises:
        ValueError: a shape or a number is out of range, or an array is not finite.
        TypeError: an array is not floating, or k is not a whole number.
    """
    _floating(query=query, points=points)
    op_arguments.knn(query, points, k)
    if check_finite:
        _finite(query=query, points=points)
    query, points = library.dense(query, np.float32), library.dense(points, np.float32)
    if not _compiled():
        return plain.knn(query, points, k)
    batch, queries, coordinates = query.shape
    found = np.empty((batch, queries, k), np.int64)
    sizes = (batch, queries, points.shape[1], coordinates)
    library.call("knn", query, points, *sizes, k, found, _threads(threads))
    return found


def gathered_maximum(
    values: Floats,
    index: NDArray[np.integer[Any]],
    threads: int | None = None,
    *,
    check_finite: bool = True,
) -> NDArray[np.float32]:
    """Take the maximum over groups of rows, as edge convolution does over a point's neighbours.

    Args:
        values: (R, C) rows.
        index: (G, k) rows of each group, k >= 1, in [0, R).
        threads: see the module.
        check_finite: look for NaN and infinity.

    Returns:
        (G, C): `values[index].max(axis=1)` in float32.

    Raises:
        ValueError: a shape or an index is out of range, or values are not finite.
        TypeError: values are not a floating array, or index is not of whole numbers.
    """
    _floating(values=values)
    if not np.issubdtype(np.asarray(index).dtype, np.integer):
        raise TypeError("index must hold whole numbers")
    op_arguments.gathered_maximum(values, index)
    if check_finite:
        _finite(values=values)
    values, index = library.dense(values, np.float32), np.ascontiguousarray(index, np.int64)
    if index.size and not 0 <= index.min() <= index.max() < len(values):
        raise ValueError(f"index must lie in [0, {len(values)}), the rows of values")
    if not _compiled():
        return np.asarray(values[index].max(axis=1))
    most = np.empty((len(index), values.shape[1]), np.float32)
    sizes = (*index.shape, values.shape[1])
    library.call("gathered_maximum", values, index, *sizes, most, _threads(threads))
    return most


def emd_matching(x: Floats, y: Floats, threads: int | None = None) -> Indices:
    """Find the bijection from x to y of least total Euclidean distance.

    Args:
        x: (B, N, 3) points; float64 is used as it is.
        y: (B, N, 3) points.
        threads: see the module.

    Returns:
        (B, N) indices: x[b, i] goes to y[b, match[b, i]].

    Raises:
        ValueError: the shapes differ or are not (B, N, 3), or an array is not finite.
        TypeError: an array is not floating.
        ImportError: neither the compiled library nor scipy is installed.
    """
    x, y = _pair(x, y)
    if not _compiled():
        return plain.emd_matching(x, y)
    return _match(x, y, None, threads)


def emd_prices(x: Floats, y: Floats, threads: int | None = None) -> tuple[Indices, Floats]:
    """The matching with the prices that prove it optimal.

    With p the prices, `sum_i min_j(|x_i - y_j| + p_j) - sum_j p_j` is a lower bound on the cost of
    every bijection, whatever p is; these make it equal to the matching's cost, up to rounding.

    Returns:
        (B, N) indices and (B, N) float64 prices in the unit of the coordinates.

    Raises:
        RuntimeError: the compiled library is missing.
        ValueError, TypeError: as `emd_matching`.
    """
    x, y = _pair(x, y)
    if not available():
        raise RuntimeError("emd_prices needs pointcmt's compiled library")
    prices = np.empty(x.shape[:2], np.float64)
    return _match(x, y, prices, threads), prices


def _pair(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    _floating(x=x, y=y)
    op_arguments.emd_matching(x, y)
    _finite(x=x, y=y)
    dtype = np.float64 if np.float64 in (x.dtype, y.dtype) else np.float32
    return library.dense(x, dtype), library.dense(y, dtype)


def _match(
    x: Floats, y: Floats, prices: NDArray[np.float64] | None, threads: int | None
) -> Indices:
    name = "match_double" if x.dtype == np.float64 else "match_float"
    matching = np.empty(x.shape[:2], np.int64)
    library.call(name, x, y, *x.shape[:2], matching, prices, _threads(threads))
    return matching


def _compiled() -> bool:
    if available():
        return True
    library.warn_missing()
    return False


def _threads(asked: int | None) -> int:
    return default_threads() if asked is None else max(1, op_arguments.whole("threads", asked))


def _floating(**arrays: Floats) -> None:
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name} must be a numpy array, not {type(array).__name__}")
        if not np.issubdtype(array.dtype, np.floating):
            raise TypeError(f"{name} must hold floating-point numbers, not {array.dtype}")


def _finite(**arrays: Floats) -> None:
    for name, array in arrays.items():
        with np.errstate(over="ignore", invalid="ignore"):
            suspect = not np.isfinite(array.sum())  # the sum is quick, but it may overflow
        if suspect and not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, but holds NaN or infinity")
