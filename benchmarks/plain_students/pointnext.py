"""PointNeXt-S, plainly."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.plain_students.pieces import Head, ball_by_sorting, farthest_points, pick
from benchmarks.plain_students.pointnet2 import like


class Level(nn.Module):
    def __init__(self, level: Any) -> None:
        super().__init__()
        self.centres, self.radius, self.k = level.centres, level.local.radius, level.local.k
        self.conv = like(level.local.mlp)[:-1]
        self.skip = nn.Conv1d(level.shortcut.in_features, level.shortcut.out_features, 1)

    def forward(self, xyz: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        chosen = farthest_points(xyz, self.centres)
        centres = pick(xyz, chosen)
        index = ball_by_sorting(self.radius, self.k, xyz, centres)
        relative = (pick(xyz, index) - centres.unsqueeze(2)) / self.radius
        group = torch.cat((relative, pick(x, index)), 3).permute(0, 3, 1, 2)  # (B, C, M, k)
        pooled = self.conv(group).max(3)[0]
        own = self.skip(pick(x, chosen).transpose(1, 2))
        return centres, F.relu(pooled + own).transpose(1, 2)


class PointNeXt(nn.Module):
    def __init__(self, student: Any) -> None:
        super().__init__()
        self.head = Head(student)
        self.stem = nn.Conv1d(student.stem.in_features, student.stem.out_features, 1)
        self.levels = nn.ModuleList(map(Level, student.levels))
        self.top = like(student.top.mlp)

    def forward(self, points: Tensor) -> Tensor:
        xyz, x = points[..., :3], self.stem(points.transpose(1, 2)).transpose(1, 2)
        for level in self.levels:
            xyz, x = level(xyz, x)
        everything = torch.cat((xyz, x), 2).transpose(1, 2).unsqueeze(3)
        logits: Tensor = self.head(self.top(everything).max(2)[0].squeeze(2))
        return logits
