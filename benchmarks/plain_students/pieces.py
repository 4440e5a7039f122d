"""What the plain ports share: sampling, neighbours, grouping, convolutions and the head."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def square_distance(a: Tensor, b: Tensor) -> Tensor:
    """(B, N, C) and (B, M, C) to (B, N, M)."""
    cross = a @ b.transpose(1, 2)
    return (a**2).sum(-1).unsqueeze(2) + (b**2).sum(-1).unsqueeze(1) - 2 * cross


def pick(values: Tensor, index: Tensor) -> Tensor:
    """(B, N, C) at (B, ...) to (B, ..., C)."""
    batch = torch.arange(len(values), device=values.device)
    batch = batch.view(-1, *(1 for _ in index.shape[1:])).expand(index.shape)
    return values[batch, index]


def farthest_points(xyz: Tensor, count: int) -> Tensor:
    """(B, N, 3) to (B, count), from index 0."""
    batch = torch.arange(len(xyz), device=xyz.device)
    distance = xyz.new_full(xyz.shape[:2], 1e10)
    farthest = torch.zeros(len(xyz), dtype=torch.long, device=xyz.device)
    chosen = []
    for _ in range(count):
        chosen.append(farthest)
        step = ((xyz - xyz[batch, farthest].unsqueeze(1)) ** 2).sum(-1)
        distance = torch.minimum(distance, step)
        farthest = distance.argmax(-1)
    return torch.stack(chosen, 1)


def ball_by_sorting(radius: float, k: int, xyz: Tensor, centres: Tensor) -> Tensor:
    """The first k points within the radius, in index order, filled with the first: (B, M, k)."""
    points = xyz.shape[1]
    index = torch.arange(points, device=xyz.device).repeat(xyz.shape[0], centres.shape[1], 1)
    index[square_distance(centres, xyz) > radius**2] = points
    index = index.sort(dim=-1)[0][:, :, :k]
    first = index[:, :, :1].expand(index.shape)
    return torch.where(index == points, first, index)


def nearest(k: int, points: Tensor, queries: Tensor) -> Tensor:
    """(B, M, k)."""
    return square_distance(queries, points).topk(k, dim=-1, largest=False)[1]


def conv2d(channels: Sequence[int], *, bias: bool = False) -> nn.Sequential:
    """1x1 convolutions, batch norms and ReLUs on (B, C, ..., ...)."""
    parts: list[nn.Module] = []
    for c_in, c_out in pairwise(channels):
        parts += [nn.Conv2d(c_in, c_out, 1, bias=bias), nn.BatchNorm2d(c_out), nn.ReLU()]
    return nn.Sequential(*parts)


def conv1d(channels: Sequence[int], *, bias: bool = False) -> nn.Sequential:
    """The same on (B, C, N)."""
    parts: list[nn.Module] = []
    for c_in, c_out in pairwise(channels):
        parts += [nn.Conv1d(c_in, c_out, 1, bias=bias), nn.BatchNorm1d(c_out), nn.ReLU()]
    return nn.Sequential(*parts)


class Head(nn.Module):
    """Hidden linear layers and the classifier of a student."""

    def __init__(self, student: Any) -> None:
        super().__init__()
        self.hidden = nn.ModuleList()
        for layer in student.hidden:
            linear = layer.linear
            fresh = nn.Linear(linear.in_features, linear.out_features, bias=linear.bias is not None)
            self.hidden.append(nn.Sequential(fresh, nn.BatchNorm1d(linear.out_features)))
        self.slope = student.hidden[0].slope
        self.dropout = nn.Dropout(student.dropout.p)
        self.last = nn.Linear(student.feature_dim, student.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = self.dropout(F.leaky_relu(layer(x), self.slope))
        logits: Tensor = self.last(x)
        return logits
