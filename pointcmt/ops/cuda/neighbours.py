"""Ball query and k nearest neighbours on the GPU."""

from ctypes import c_float, c_int, c_longlong

import torch
from torch import Tensor

from pointcmt import op_arguments
from pointcmt.ops.cuda import driver, inputs
from pointcmt.ops.cuda.driver import Launch, Scalar

_WARPS = 8
_QUERIES = 4  # of a warp, in knn.cu
_TILE = 32 * 33 * 4  # bytes: 32 channels of 32 points, padded
_ROW = 32 * 4  # bytes: 32 channels of one query
_KEY = 8  # bytes of a list's element
_LISTS = 40 * 1024  # bytes of lists a block; with the tile they fit the 48 KiB that every GPU has


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
    rows = batch * queries
    if rows == 0:
        return found
    limit = torch.tensor(radius, dtype=torch.float32).square().item()
    how = Launch("ball_query", (), -(-rows // _WARPS), _WARPS * 32)
    scalars: list[Scalar] = [c_longlong(rows), c_int(points), c_int(queries), c_int(k)]
    driver.launch(how, [xyz, centers], [found], [*scalars, c_float(limit)])
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
    if batch * queries == 0:
        return found
    how = knn_plan(batch, queries, k)
    size = 0 if how.defines[0][1] else how.blocks * how.threads // 32 * _QUERIES * k
    lists = torch.empty(size, dtype=torch.int64, device=query.device)
    sizes = [c_int(points.shape[1]), c_int(queries), c_int(channels), c_int(k)]
    driver.launch(how, [query, points], [found, lists], sizes)
    return found


def knn_plan(batch: int, queries: int, k: int) -> Launch:
    """As many warps of 4 queries as have room for their lists in shared memory, at most 8.

    Where a single warp's lists have no room they lie in global memory.
    """
    lists = _QUERIES * k * _KEY  # bytes a warp
    shared = lists <= _LISTS
    warps = min(_WARPS, _LISTS // lists) if shared else _WARPS
    blocks = batch * -(-queries // (warps * _QUERIES))
    size = warps * _QUERIES * _ROW + _TILE + (warps * lists if shared else 0)
    return Launch("knn", (("LISTS_SHARED", int(shared)),), blocks, warps * 32, size)
