"""The index ops as expressions that every exporter knows; same results as `pointcmt.ops`.

Squared distances are `dx*dx + dy*dy + dz*dz` in float32, as there, so that indices are equal.
"""

import functools

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan
from torch.fx.experimental.symbolic_shapes import statically_known_true


def farthest_point_sample(xyz: Tensor, m: int) -> Tensor:
    """Choose m of the points (B, N, 3), each the farthest from those before: (B, m) int64.

    The loop is one `torch.scan`, which becomes one ONNX Scan.
    """
    batch, points, _ = xyz.shape
    # Copies, because the loop's body may not see two views of one tensor.
    x, y, z = (c.clone() for c in xyz.unbind(-1))  # (B, N)
    first = torch.zeros(batch, 1, dtype=torch.int64, device=xyz.device)
    unreached = torch.full((batch, points), torch.inf, dtype=xyz.dtype, device=xyz.device)

    def step(carry: tuple[Tensor, Tensor], _: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        distance, last = carry  # (B, N), (B, 1)
        dx, dy, dz = (c - c.gather(1, last) for c in (x, y, z))
        distance = torch.minimum(distance, dx * dx + dy * dy + dz * dz)
        return (distance, distance.argmax(1, keepdim=True)), last.clone()

    steps = torch.zeros(m, dtype=xyz.dtype, device=xyz.device)
    _, chosen = scan(step, (unreached, first), steps)  # (m, B, 1)
    indices: Tensor = chosen.squeeze(-1).permute(1, 0)
    return indices


def ball_query(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    """Find the first k points (B, N, 3) within a radius of each centre: (B, M, k) int64.

    Indices are compared as float32 numbers, which are exact up to 2**24 points.
    """
    limit = torch.tensor(radius, dtype=torch.float32).square().item()
    squared = squared_distances(centers, xyz)  # (B, M, N)
    order = torch.arange(xyz.shape[1], dtype=torch.float32, device=xyz.device)
    inside = torch.where(squared < limit, order, torch.inf)
    if not statically_known_true(xyz.shape[1] >= k):  # top-k wants k numbers to choose from
        inside = torch.nn.functional.pad(inside, (0, k), value=torch.inf)
    found = torch.topk(inside, k, largest=False, sorted=True).values  # (B, M, k)
    nearest = squared.argmin(-1, keepdim=True).to(found.dtype)  # (B, M, 1)
    first = torch.where(found[..., :1] < torch.inf, found[..., :1], nearest)
    return torch.where(found < torch.inf, found, first).to(torch.int64)


def knn(query: Tensor, points: Tensor, k: int) -> Tensor:
    """Find the k nearest of the points (B, N, C) of each query (B, M, C): (B, M, k) int64."""
    squared = squared_distances(query, points)  # (B, M, N)
    return torch.topk(squared, k, largest=False, sorted=True).indices


def squared_distances(query: Tensor, points: Tensor) -> Tensor:
    """Squared distances (B, M, N) of query (B, M, C) to points (B, N, C)."""
    if query.shape[2] > 3:
        return _expanded_distances(query, points)
    pairs = zip(query.unbind(-1), points.unbind(-1), strict=True)
    differences = (a.unsqueeze(2) - b.unsqueeze(1) for a, b in pairs)  # (B, M, N) each
    return functools.reduce(torch.add, (d * d for d in differences))


def _expanded_distances(query: Tensor, points: Tensor) -> Tensor:
    inner = query @ points.transpose(1, 2)  # (B, M, N)
    return query.square().sum(2, keepdim=True) - 2 * inner + points.square().sum(2).unsqueeze(1)
