"""Pairs of clouds as training meets them, inside the unit box."""

import torch
from torch import Tensor

KINDS = {
    "cube": "two uniform clouds",
    "early": "a small blob, as an untrained generator makes, against a shape",
    "mid": "a shape against itself with noise of 0.05, shuffled",
    "late": "a shape against itself with noise of 0.01, shuffled",
    "resample": "two samplings of one shape",
}


def pairs(kind: str, batch: int, points: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clouds x and y (B, N, 3) float32 of a kind."""
    if kind == "cube":
        x, y = torch.rand(2, batch, points, 3, generator=generator)
        return x, y
    y = chair(batch, points, generator)
    if kind == "resample":
        return chair(batch, points, generator), y
    noise = torch.randn(y.shape, generator=generator)
    if kind == "early":
        return (0.5 + 0.025 * noise).clamp(0, 1), y
    shuffled = (y + {"mid": 0.05, "late": 0.01}[kind] * noise).clamp(0, 1)
    return shuffled[:, torch.randperm(points, generator=generator)], y


def chair(batch: int, points: int, generator: torch.Generator) -> Tensor:
    """Points (B, N, 3) on the surfaces of a seat, a back and a leg."""
    half = torch.tensor([[0.5, 0.05, 0.5], [0.5, 0.5, 0.05], [0.05, 0.4, 0.05]])
    middle = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.5, -0.5], [0.4, -0.4, 0.4]])
    part = torch.randint(3, (batch, points), generator=generator)
    corner = torch.rand(batch, points, 3, generator=generator) * 2 - 1
    axis = torch.randint(3, (batch, points, 1), generator=generator)
    corner = corner.scatter(2, axis, corner.gather(2, axis).sign())
    return (corner * half[part] + middle[part]) / 2 + 0.5
