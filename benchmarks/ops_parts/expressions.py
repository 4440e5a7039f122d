"""The sampling and neighbour ops as torch expressions, to run eagerly or under torch.compile."""

from collections.abc import Callable

import torch
from torch import Tensor

Compile = Callable[[Callable[..., Tensor]], Callable[..., Tensor]]


def squared_distances(query: Tensor, points: Tensor) -> Tensor:
    """(B, M, N) from (B, M, 3) and (B, N, 3), by differences, as the indices demand."""
    difference = query[:, :, None] - points[:, None]
    return difference.square().sum(-1)


def nearest_so_far(xyz: Tensor, pick: Tensor, distance: Tensor) -> Tensor:
    """Distances (B, N) to the nearest chosen point, after one more pick (B, 1)."""
    last = xyz.gather(1, pick[..., None].expand(-1, -1, 3))
    return torch.minimum(distance, (xyz - last).square().sum(-1))


def farthest_point_sample(compiled: Compile) -> Callable[[Tensor, int], Tensor]:
    """The loop of m picks; what is compiled is its step, for the whole loop unrolls to no end."""
    step = compiled(nearest_so_far)

    def sample(xyz: Tensor, m: int) -> Tensor:
        chosen = torch.zeros(len(xyz), m, dtype=torch.int64, device=xyz.device)
        distance = xyz.new_full(xyz.shape[:2], torch.inf)
        for i in range(1, m):
            distance = step(xyz, chosen[:, i - 1 : i], distance)
            chosen[:, i] = distance.argmax(1)
        return chosen

    return sample


def ball_query(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    """Ball query by the k least indices within the radius."""
    squared = squared_distances(centers, xyz)
    inside = inside_or_last(squared, radius)
    return padded(inside.topk(k, largest=False, sorted=True).values, squared)


def ball_query_by_sort(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    """Ball query by sorting all indices within the radius, as public ports do."""
    squared = squared_distances(centers, xyz)
    return padded(inside_or_last(squared, radius).sort(-1).values[..., :k], squared)


def ball_query_by_cdist(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    """Ball query by the k least indices, with torch.cdist for the distances; inexact."""
    squared = torch.cdist(centers, xyz).square()
    inside = inside_or_last(squared, radius).int()
    return padded(inside.topk(k, largest=False, sorted=True).values.long(), squared)


def inside_or_last(squared: Tensor, radius: float) -> Tensor:
    """(B, M, N): the index of a point within the radius, and N for the others."""
    points = squared.shape[-1]
    order = torch.arange(points, device=squared.device)
    return torch.where(squared < radius * radius, order, points)


def padded(found: Tensor, squared: Tensor) -> Tensor:
    """(B, M, k): indices, those that are N replaced by the first, or by the nearest point."""
    points, first = squared.shape[-1], found[..., :1]
    first = torch.where(first < points, first, squared.argmin(-1, keepdim=True))
    return torch.where(found < points, found, first)


def knn(query: Tensor, points: Tensor, k: int) -> Tensor:
    """The k nearest by differences; for points in space."""
    return squared_distances(query, points).topk(k, largest=False).indices


def knn_by_cdist(query: Tensor, points: Tensor, k: int) -> Tensor:
    """The k nearest by torch.cdist; inexact."""
    return torch.cdist(query, points).topk(k, largest=False).indices


def knn_of_features(query: Tensor, points: Tensor, k: int) -> Tensor:
    """The k nearest by the expansion of the square, which matrix units speed up; inexact."""
    product = query @ points.mT
    return (points.square().sum(-1)[:, None] - 2 * product).topk(k, largest=False).indices
