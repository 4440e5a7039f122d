"""The ops as torch.library custom ops, so that they pass torch.compile and torch.export whole.

The backends check what comes in. What cannot wait until they run, because torch's own dispatcher
would fail first with a message of its own, is checked before.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from pointcmt import op_arguments
from pointcmt.ops import tensors
from pointcmt.ops.backends import serving


def farthest_point_sample(xyz: Tensor, m: int) -> Tensor:
    """Choose m points, starting with point 0, each the farthest from those chosen before.

    Args:
        xyz: (B, N, 3) points.
        m: how many to choose, 1 <= m <= N.

    Returns:
        (B, m) int64 indices; where distances are equal the lowest index is chosen.

    Raises:
        ValueError: a shape or a number is out of range, or xyz is not finite.
        TypeError: xyz is not a floating-point tensor, or m is not a whole number.
    """
    tensors.floating(xyz=xyz)
    indices: Tensor = torch.ops.pointcmt.farthest_point_sample(xyz.detach(), _whole("m", m))
    return indices


def ball_query(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    """Find the first k points, in index order, within a radius of each centre.

    Args:
        xyz: (B, N, 3) points, N >= 1.
        centers: (B, M, 3) centres.
        radius: zero or more, in the unit of the coordinates; a point is within when its squared
            distance is below float32(radius) squared.
        k: how many to find, at least 1; it may exceed N.

    Returns:
        (B, M, k) int64 indices; too few are padded with the first, none with the nearest point.

    Raises:
        ValueError: a shape or a number is out of range, a tensor is not finite, or the tensors lie
            on two devices.
        TypeError: a tensor is not floating-point, or k is not a whole number.
    """
    tensors.floating(xyz=xyz, centers=centers)
    radius = op_arguments.number("radius", radius)
    indices: Tensor = torch.ops.pointcmt.ball_query(
        xyz.detach(), centers.detach(), radius, _whole("k", k)
    )
    return indices


def knn(query: Tensor, points: Tensor, k: int) -> Tensor:
    """Find the k nearest points of each query, nearest first.

    Args:
        query: (B, M, C) queries, C >= 1: coordinates or features.
        points: (B, N, C) points.
        k: how many to find, 1 <= k <= N.

    Returns:
        (B, M, k) int64 indices; where distances are equal the lower index comes first.

    Raises:
        ValueError: a shape or a number is out of range, a tensor is not finite, or the tensors lie
            on two devices.
        TypeError: a tensor is not floating-point, or k is not a whole number.
    """
    tensors.floating(query=query, points=points)
    indices: Tensor = torch.ops.pointcmt.knn(query.detach(), points.detach(), _whole("k", k))
    return indices


def emd_matching(x: Tensor, y: Tensor) -> Tensor:
    """Find the bijection from x to y of least total Euclidean distance (Eq. 4 of the paper).

    On the CPU it is the exact optimum in float64 arithmetic, up to rounding.

    Args:
        x: (B, N, 3) points.
        y: (B, N, 3) points.

    Returns:
        (B, N) int64 indices: x[b, i] goes to y[b, match[b, i]].

    Raises:
        ValueError: the shapes differ or are not (B, N, 3), a tensor is not finite, or the tensors
            lie on two devices.
        TypeError: a tensor is not floating-point.
    """
    tensors.floating(x=x, y=y)
    matching: Tensor = torch.ops.pointcmt.emd_matching(x.detach(), y.detach())
    return matching


def _whole(name: str, value: int) -> int:
    return value if isinstance(value, torch.SymInt) else op_arguments.whole(name, value)


def _sample(xyz: Tensor, m: int) -> Tensor:
    chosen: Tensor = serving(xyz.device).farthest_point_sample(xyz, m)
    return chosen


def _ball(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    found: Tensor = serving(xyz.device).ball_query(xyz, centers, radius, k)
    return found


def _nearest(query: Tensor, points: Tensor, k: int) -> Tensor:
    found: Tensor = serving(query.device).knn(query, points, k)
    return found


def _match(x: Tensor, y: Tensor) -> Tensor:
    matching: Tensor = serving(x.device).emd_matching(x, y)
    return matching


def _empty(like: Tensor, *shape: int) -> Tensor:
    return like.new_empty(shape, dtype=torch.int64)


# Not `torch.library.custom_op`: its first call imports the whole of torch's compiler, which takes
# seconds.
def _register(
    name: str, schema: str, run: Callable[..., Tensor], shape: Callable[..., Tensor]
) -> None:
    qualified = f"pointcmt::{name}"
    torch.library.define(qualified, schema)
    torch.library.impl(qualified, "default", run)
    torch.library.register_fake(qualified, shape)


_register(
    "farthest_point_sample",
    "(Tensor xyz, SymInt m) -> Tensor",
    _sample,
    lambda xyz, m: _empty(xyz, xyz.shape[0], m),
)
_register(
    "ball_query",
    "(Tensor xyz, Tensor centers, float radius, SymInt k) -> Tensor",
    _ball,
    lambda xyz, centers, radius, k: _empty(xyz, xyz.shape[0], centers.shape[1], k),
)
_register(
    "knn",
    "(Tensor query, Tensor points, SymInt k) -> Tensor",
    _nearest,
    lambda query, points, k: _empty(query, query.shape[0], query.shape[1], k),
)
_register(
    "emd_matching",
    "(Tensor x, Tensor y) -> Tensor",
    _match,
    lambda x, y: _empty(x, *x.shape[:2]),
)
