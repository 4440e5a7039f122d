"""Ball query and k nearest neighbours on the GPU."""

import torch
from torch import Tensor

from pointcmt import op_arguments
from pointcmt.kernels import calls
from pointcmt.ops.cuda import inputs, launching


def ball_query(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    """Find the first k points within a radius of each centre; see `pointcmt.ops`.

    Args:
        xyz: (B, N, 3) points on a GPU, N >= 1.
        centers: (B, M, 3) centres.
        radius: zero or more, in the unit of the coordinates.
        k: how many to find, at least 1.

    Returns:
        (B, M, k) int64 indices.

    Raises:
        ValueError, TypeError: as `pointcmt.ops.ball_query` does.
    """
    inputs.floating(xyz=xyz, centers=centers)
    op_arguments.ball_query(xyz, centers, radius, k)
    inputs.finite(xyz=xyz, centers=centers)
    xyz, centers = inputs.dense(xyz), inputs.dense(centers)
    (batch, points, _), queries = xyz.shape, centers.shape[1]
    found = torch.empty(batch, queries, k, dtype=torch.int64, device=xyz.device)
    if batch * queries:
        call = calls.ball_query(batch, points, queries, float(radius), k)
        launching.run(call, [xyz, centers], found)
    return found


def knn(query: Tensor, points: Tensor, k: int) -> Tensor:
    """Find the k nearest points of each query, nearest first; see `pointcmt.ops`.

    Args:
        query: (B, M, C) queries on a GPU: coordinates or features.
        points: (B, N, C) points.
        k: how many to find, 1 <= k <= N.

    Returns:
        (B, M, k) int64 indices.

    Raises:
        ValueError, TypeError: as `pointcmt.ops.knn` does.
    """
    inputs.floating(query=query, points=points)
    op_arguments.knn(query, points, k)
    inputs.finite(query=query, points=points)
    query, points = inputs.dense(query), inputs.dense(points)
    batch, queries, channels = query.shape
    found = torch.empty(batch, queries, k, dtype=torch.int64, device=query.device)
    if batch * queries:
        call = calls.knn(batch, points.shape[1], queries, channels, k)
        launching.run(call, [query, points], found)
    return found
