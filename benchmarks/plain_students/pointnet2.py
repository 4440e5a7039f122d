"""PointNet++ with one or more scales, plainly."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmarks.plain_students.pieces import (
    Head,
    ball_by_sorting,
    conv2d,
    farthest_points,
    pick,
)


def like(mlp: Any) -> nn.Sequential:
    """The convolutions of a shared MLP."""
    layers = list(mlp)
    widths = [layers[0].linear.in_features, *(layer.linear.out_features for layer in layers)]
    return conv2d(widths, bias=layers[0].linear.bias is not None)


class PointNet2(nn.Module):
    def __init__(self, student: Any) -> None:
        super().__init__()
        self.head = Head(student)
        self.centres = [level.centres for level in student.levels]
        self.balls = [
            [(scale.radius, scale.k) for scale in level.scales] for level in student.levels
        ]
        self.convs = nn.ModuleList(
            nn.ModuleList(like(scale.mlp) for scale in level.scales) for level in student.levels
        )
        self.top = like(student.top.mlp)

    def forward(self, points: Tensor) -> Tensor:
        xyz, features = points[..., :3], points[..., 3:]  # (B, N, 3), (B, N, C)
        for count, balls, convs in zip(self.centres, self.balls, self.convs, strict=True):
            centres = pick(xyz, farthest_points(xyz, count))
            found = []
            for (radius, k), conv in zip(balls, cast(nn.ModuleList, convs), strict=True):
                index = ball_by_sorting(radius, k, xyz, centres)
                group = torch.cat(
                    (pick(xyz, index) - centres.unsqueeze(2), pick(features, index)), 3
                )
                found.append(conv(group.permute(0, 3, 2, 1)).max(2)[0])  # (B, C, M)
            xyz, features = centres, torch.cat(found, 1).transpose(1, 2)
        everything = torch.cat((xyz, features), 2).transpose(1, 2).unsqueeze(3)  # (B, C, M, 1)
        logits: Tensor = self.head(self.top(everything).max(2)[0].squeeze(2))
        return logits
