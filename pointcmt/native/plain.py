"""The ops in numpy (the matching: scipy), for an installation without the compiled library."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]


def farthest_point_sample(xyz: NDArray[np.float32], m: int) -> Indices:
    """As `pointcmt.native.farthest_point_sample`."""
    batch, points, _ = xyz.shape
    chosen = np.zeros((batch, m), np.int64)
    distance = np.full((batch, points), np.inf, np.float32)
    for i in range(1, m):
        last = xyz[np.arange(batch), chosen[:, i - 1]]  # (B, 3)
        distance = np.minimum(distance, _squared(last[:, None], xyz)[:, 0])
        chosen[:, i] = distance.argmax(1)
    return chosen


def ball_query(
    xyz: NDArray[np.float32], centers: NDArray[np.float32], radius: float, k: int
) -> Indices:
    """As `pointcmt.native.ball_query`."""
    points = xyz.shape[1]
    with np.errstate(over="ignore"):
        limit = np.float32(radius) * np.float32(radius)
    found = np.empty((*centers.shape[:2], k), np.int64)
    for b in range(xyz.shape[0]):  # one cloud at a time keeps (M, N) tables small
        squared = _squared(centers[b][None], xyz[b][None])[0]  # (M, N)
        order = np.sort(np.where(squared < limit, np.arange(points), points), -1)[:, :k]
        nearest = squared.argmin(-1, keepdims=True)
        first = np.where(order[:, :1] < points, order[:, :1], nearest)  # (M, 1)
        found[b] = first
        found[b, :, : order.shape[1]] = np.where(order < points, order, first)
    return found


def knn(query: NDArray[np.float32], points: NDArray[np.float32], k: int) -> Indices:
    """As `pointcmt.native.knn`."""
    found = np.empty((*query.shape[:2], k), np.int64)
    for b in range(query.shape[0]):
        squared = _squared(query[b][None], points[b][None])[0]  # (M, N)
        found[b] = np.argsort(squared, -1, kind="stable")[:, :k]
    return found


def emd_matching(x: Floats, y: Floats) -> Indices:
    """As `pointcmt.native.emd_matching`; needs scipy."""
    try:
        from scipy.optimize import linear_sum_assignment
        from scipy.spatial.distance import cdist
    except ImportError as error:
        message = "emd_matching needs pointcmt's compiled library or scipy; install scipy"
        raise ImportError(message) from error
    matching = np.empty(x.shape[:2], np.int64)
    for b in range(x.shape[0]):
        if x.shape[1]:
            cost = cdist(x[b].astype(np.float64), y[b].astype(np.float64))
            matching[b] = linear_sum_assignment(cost)[1]
    return matching


def _squared(query: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances (B, M, N), summed coordinate by coordinate in float32."""
    shape = (query.shape[0], query.shape[1], points.shape[1])
    total = np.zeros(shape, np.float32)
    with np.errstate(over="ignore"):
        for axis in range(query.shape[2]):
            difference = query[:, :, None, axis] - points[:, None, :, axis]
            total += difference * difference
    return total
