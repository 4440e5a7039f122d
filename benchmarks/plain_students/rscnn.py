"""RS-CNN with one scale, plainly, as the released code computes it."""

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.plain_students.pieces import (
    Head,
    conv1d,
    conv2d,
    farthest_points,
    pick,
    square_distance,
)


def centre_first(radius: float, k: int, xyz: Tensor, chosen: Tensor) -> Tensor:
    """Each centre and the first k others in its ball, the centre as filler: (B, M, 1 + k)."""
    points, own = xyz.shape[1], chosen.unsqueeze(2)
    index = torch.arange(points, device=chosen.device).repeat(*chosen.shape, 1)
    index[square_distance(pick(xyz, chosen), xyz) >= radius**2] = points
    index[index == own] = points
    index = index.sort(dim=-1)[0][:, :, :k]
    return torch.cat((own, torch.where(index == points, own, index)), 2)


class RSConv(nn.Module):
    def __init__(self, conv: Any) -> None:
        super().__init__()
        self.radius, self.k = conv.radius, conv.k
        self.absolute = conv.absolute
        weighted, mapped = conv.to_weight.out_features, conv.to_weight.in_features
        lifted = conv.raise_channels
        self.lift = conv2d((lifted.linear.in_features, weighted), bias=True) if lifted else None
        self.relation = conv2d((10, mapped), bias=True)
        self.to_weight = nn.Conv2d(mapped, weighted, 1)
        self.norm = nn.BatchNorm2d(weighted)
        self.out = conv1d((weighted, conv.out.linear.out_features), bias=True)

    def forward(self, xyz: Tensor, features: Tensor, chosen: Tensor) -> Tensor:
        index = centre_first(self.radius, self.k, xyz, chosen)
        position = pick(xyz, index).permute(0, 3, 1, 2)  # (B, 3, M, 1 + k)
        delta = position - position[..., :1]
        if not self.absolute:
            position = delta  # the released code subtracts in place
        centre = position[..., :1].expand(position.shape)
        relation = torch.cat((delta.norm(dim=1, keepdim=True), centre, position, delta), 1)
        x = torch.cat((delta, pick(features, index).permute(0, 3, 1, 2)), 1)
        x = x if self.lift is None else self.lift(x)
        x = self.norm(self.to_weight(self.relation(relation)) * x).relu().max(3)[0]
        result: Tensor = self.out(x)
        return result.transpose(1, 2)  # (B, M, C)


class RSCNN(nn.Module):
    def __init__(self, student: Any) -> None:
        super().__init__()
        self.head = Head(student)
        self.centres = student.centres
        self.convs = nn.ModuleList(RSConv(conv) for conv in student.convs)
        linear = next(iter(student.top.mlp)).linear
        self.top = conv1d((linear.in_features, linear.out_features), bias=True)

    def forward(self, points: Tensor) -> Tensor:
        xyz, features = points[..., :3], points[..., 3:]
        for conv, count in zip(self.convs, self.centres, strict=True):
            chosen = farthest_points(xyz, count)
            xyz, features = pick(xyz, chosen), conv(xyz, features, chosen)
        everything = torch.cat((xyz, features), 2).transpose(1, 2)
        logits: Tensor = self.head(self.top(everything).max(2)[0])
        return logits
