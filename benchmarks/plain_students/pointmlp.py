"""PointMLP and its elite version, plainly."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.plain_students.pieces import Head, conv1d, farthest_points, nearest, pick


class Residual(nn.Module):
    def __init__(self, block: Any) -> None:
        super().__init__()
        channels, inner = block.first.linear.in_features, block.first.linear.out_features
        self.net = nn.Sequential(conv1d((channels, inner)), conv1d((inner, channels))[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.net(x) + x)


class Stage(nn.Module):
    def __init__(self, stage: Any) -> None:
        super().__init__()
        self.centres, self.k = stage.centres, stage.k
        linear = stage.transfer.linear
        self.alpha = nn.Parameter(torch.ones(linear.in_features // 2))
        self.beta = nn.Parameter(torch.zeros(linear.in_features // 2))
        self.transfer = conv1d((linear.in_features, linear.out_features))
        self.before = nn.Sequential(*map(Residual, stage.before))
        self.after = nn.Sequential(*map(Residual, stage.after))

    def forward(self, xyz: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        chosen = farthest_points(xyz, self.centres)
        centres, own = pick(xyz, chosen), pick(x, chosen).unsqueeze(2)
        index = nearest(self.k, xyz, centres)
        delta = pick(x, index) - own  # (B, M, k, C)
        std = delta.reshape(len(x), -1).std(dim=1).view(-1, 1, 1, 1)
        group = torch.cat(
            (self.alpha * delta / (std + 1e-5) + self.beta, own.expand(delta.shape)), 3
        )
        batch, count, k, channels = group.shape
        rows = group.permute(0, 1, 3, 2).reshape(-1, channels, k)
        pooled = self.before(self.transfer(rows)).max(2)[0].view(batch, count, -1)
        return centres, self.after(pooled.transpose(1, 2)).transpose(1, 2)


class PointMLP(nn.Module):
    def __init__(self, student: Any) -> None:
        super().__init__()
        self.head = Head(student)
        linear = student.embedding.linear
        self.embedding = conv1d((linear.in_features, linear.out_features))
        self.stages = nn.ModuleList(map(Stage, student.stages))

    def forward(self, points: Tensor) -> Tensor:
        xyz = points[..., :3]
        x = self.embedding(points.transpose(1, 2)).transpose(1, 2)
        for stage in self.stages:
            xyz, x = stage(xyz, x)
        logits: Tensor = self.head(x.max(1)[0])
        return logits
