"""Clouds that are easy and clouds that break things, and what the ops should say of them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KINDS = ("random", "lattice", "duplicates", "coincident", "collinear")


def cloud(kind: str, batch: int, points: int, generator: torch.Generator) -> Tensor:
    """Clouds (B, N, 3) float32 of a kind; `lattice` has many equal distances."""
    uniform = torch.rand(batch, points, 3, generator=generator)
    made = {
        "random": uniform,
        "lattice": (uniform * 4).round() / 4,
        "duplicates": uniform[:, torch.arange(points) // 3],
        "coincident": uniform[:, :1].expand(-1, points, -1),
        "collinear": uniform[..., :1] * torch.tensor([1.0, 2.0, -1.0]),
    }
    return made[kind].contiguous()


def squared_distances(a: Tensor, b: Tensor) -> NDArray[np.float32]:
    """Squared distances (B, M, N) in float32, the coordinates added in turn."""
    difference = a.numpy()[:, :, None, :] - b.numpy()[:, None, :, :]
    squares = difference * difference
    return np.add.accumulate(squares, axis=-1, dtype=np.float32)[..., -1]


def farthest(xyz: Tensor, m: int) -> Tensor:
    """Farthest point sampling by the definition: from each step's whole distance table."""
    table = squared_distances(xyz, xyz)
    chosen = np.zeros((xyz.shape[0], m), dtype=np.int64)
    for b in range(xyz.shape[0]):
        for step in range(1, m):
            nearest = table[b, chosen[b, :step]].min(0)
            chosen[b, step] = np.flatnonzero(nearest == nearest.max())[0]
    return torch.from_numpy(chosen)


def within(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    """Ball query by the definition, row by row."""
    with np.errstate(over="ignore"):
        limit = np.float32(radius) * np.float32(radius)
    rows = squared_distances(centers, xyz).reshape(-1, xyz.shape[1])
    found = np.empty((len(rows), k), dtype=np.int64)
    for row, squared in enumerate(rows):
        inside = np.flatnonzero(squared < limit)[:k]
        fill = inside[0] if len(inside) else np.flatnonzero(squared == squared.min())[0]
        found[row] = np.append(inside, np.full(k - len(inside), fill))
    return torch.from_numpy(found.reshape(*centers.shape[:2], k))


def nearest(query: Tensor, points: Tensor, k: int) -> Tensor:
    """k nearest neighbours by a lexical sort on distance, then index."""
    table = squared_distances(query, points)
    index = np.broadcast_to(np.arange(points.shape[1]), table.shape)
    return torch.from_numpy(np.lexsort((index, table), axis=-1)[..., :k].copy())


def gathered(cloud: Tensor, index: Tensor | None) -> Tensor:
    """The coordinates (B, m, 3) of the points of clouds (B, N, C) that indices (B, m) name."""
    xyz = cloud[..., :3]
    return xyz if index is None else xyz.gather(1, index[..., None].expand(-1, -1, 3))


def optimum(x: Tensor, y: Tensor) -> NDArray[np.float64]:
    """The least total distance of each pair (B,), from scipy in float64."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    tables = [cdist(a, b) for a, b in zip(x.double().numpy(), y.double().numpy(), strict=True)]
    return np.array([table[linear_sum_assignment(table)].sum() for table in tables])


def cost(x: Tensor, y: Tensor, matching: Tensor) -> NDArray[np.float64]:
    """The total distance of a matching of each pair (B,), in float64."""
    matched = y.double().gather(1, matching[..., None].expand(-1, -1, 3))
    total: NDArray[np.float64] = (
        torch.linalg.vector_norm(x.double() - matched, dim=-1).sum(1).numpy()
    )
    return total
