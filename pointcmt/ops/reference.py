"""The ops in plain torch (the matching: scipy): slow, obvious, the oracle of the other backends.

Squared distances are `dx*dx + dy*dy + dz*dz` in float32, summed coordinate by coordinate without
fused multiply-add, so that every backend compares the same numbers and returns the same indices.
"""

import torch
from torch import Tensor

from pointcmt import op_arguments
from pointcmt.ops import tensors


def farthest_point_sample(xyz: Tensor, m: int) -> Tensor:
    """Choose m points, each the farthest from those chosen before; see `pointcmt.ops`."""
    tensors.floating(xyz=xyz)
    op_arguments.farthest_point_sample(xyz, m)
    tensors.finite(xyz=xyz)
    xyz = xyz.detach().float()
    batch, points, _ = xyz.shape
    chosen = torch.zeros(batch, m, dtype=torch.int64, device=xyz.device)
    distance = xyz.new_full((batch, points), torch.inf)
    for i in range(1, m):
        last = xyz.gather(1, chosen[:, i - 1, None, None].expand(-1, 1, 3))  # (B, 1, 3)
        distance = torch.minimum(distance, squared_distances(last, xyz).squeeze(1))
        chosen[:, i] = distance.argmax(1)  # the first of equal maxima
    return chosen


def ball_query(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    """Find the first k points within a radius of each centre; see `pointcmt.ops`."""
    tensors.floating(xyz=xyz, centers=centers)
    op_arguments.ball_query(xyz, centers, radius, k)
    tensors.finite(xyz=xyz, centers=centers)
    squared = squared_distances(centers.detach().float(), xyz.detach().float())  # (B, M, N)
    points = xyz.shape[1]
    limit = torch.tensor(radius, dtype=torch.float32, device=xyz.device).square()
    order = torch.arange(points, device=xyz.device)
    inside = torch.where(squared < limit, order, points)  # (B, M, N)
    found = inside.sort(-1).values[..., :k]  # (B, M, min(k, N))
    nearest = squared.argmin(-1, keepdim=True)  # (B, M, 1)
    first = torch.where(found[..., :1] < points, found[..., :1], nearest)
    found = torch.where(found < points, found, first)
    return torch.cat([found, first.expand(-1, -1, k - found.shape[-1])], -1)


def knn(query: Tensor, points: Tensor, k: int) -> Tensor:
    """Find the k nearest points of each query, nearest first; see `pointcmt.ops`."""
    tensors.floating(query=query, points=points)
    op_arguments.knn(query, points, k)
    tensors.finite(query=query, points=points)
    squared = squared_distances(query.detach().float(), points.detach().float())
    return torch.sort(squared, dim=-1, stable=True).indices[..., :k]


def emd_matching(x: Tensor, y: Tensor) -> Tensor:
    """Find the optimal bijection from x to y in float64; see `pointcmt.ops`."""
    from scipy.optimize import linear_sum_assignment

    tensors.floating(x=x, y=y)
    op_arguments.emd_matching(x, y)
    tensors.finite(x=x, y=y)
    matching = torch.empty(x.shape[:2], dtype=torch.int64)
    for b in range(x.shape[0]):
        cost = distances(x[b : b + 1], y[b : b + 1])[0].cpu()
        matching[b] = torch.from_numpy(linear_sum_assignment(cost.numpy())[1])
    return matching.to(x.device)


def emd_prices(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The optimal bijection and prices (B, N) float64 that prove it; see `emd_certificate`.

    The prices are shortest distances (Bellman and Ford) in the graph whose edge from column k to
    column j is what the row matched to k would pay more for j; an optimum has no negative cycle.
    """
    matching = emd_matching(x, y)
    prices = torch.zeros(x.shape[:2], dtype=torch.float64)
    for b in range(x.shape[0]):
        row = matching[b].argsort()  # of each column
        cost = distances(x[b : b + 1], y[b : b + 1])[0].cpu()[row]  # (N, N) by column
        extra = cost - cost.diagonal()[:, None]
        for _ in range(x.shape[1]):
            shorter = torch.minimum(prices[b], (extra + prices[b]).amin(1))
            if torch.equal(shorter, prices[b]):
                break
            prices[b] = shorter
    return matching, prices


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances (B, M, N) in float64."""
    x, y = x.detach().double(), y.detach().double()
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def squared_distances(query: Tensor, points: Tensor) -> Tensor:
    """Squared distances (B, M, N) of query (B, M, C) to points (B, N, C), coordinates in turn."""
    total = query.new_zeros(query.shape[0], query.shape[1], points.shape[1])
    for a, b in zip(query.unbind(-1), points.unbind(-1), strict=True):
        difference = a.unsqueeze(2) - b.unsqueeze(1)
        total = total + difference * difference
    return total
