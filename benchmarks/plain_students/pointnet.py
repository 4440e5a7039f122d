"""PointNet, plainly."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.plain_students.pieces import Head, conv1d


class Alignment(nn.Module):
    def __init__(self, tnet: Any) -> None:
        super().__init__()
        self.size = tnet.size
        widths = [layer.linear.out_features for layer in tnet.points]
        self.conv = conv1d([next(iter(tnet.points)).linear.in_features, *widths], bias=True)
        hidden = [widths[-1], *(layer.linear.out_features for layer in tnet.hidden)]
        self.hidden = nn.Sequential()
        for c_in, c_out in pairwise(hidden):
            self.hidden.extend([nn.Linear(c_in, c_out), nn.BatchNorm1d(c_out), nn.ReLU()])
        self.last = nn.Linear(hidden[-1], self.size**2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).max(2)[0]
        matrix: Tensor = self.last(self.hidden(x)).view(-1, self.size, self.size)
        return matrix + torch.eye(self.size, dtype=x.dtype, device=x.device)


class PointNet(nn.Module):
    def __init__(self, student: Any) -> None:
        super().__init__()
        self.head = Head(student)
        low = next(iter(student.low)).linear.out_features
        high = [layer.linear.out_features for layer in student.high]
        self.input_alignment = Alignment(student.input_alignment)
        self.low = conv1d((student.channels, low), bias=True)
        self.feature_alignment = Alignment(student.feature_alignment)
        self.high = conv1d((low, *high), bias=True)[:-1]

    def forward(self, points: Tensor) -> Tensor:
        turned = torch.bmm(points[..., :3], self.input_alignment(points.transpose(1, 2)))
        x = self.low(torch.cat((turned, points[..., 3:]), 2).transpose(1, 2))
        x = torch.bmm(x.transpose(1, 2), self.feature_alignment(x)).transpose(1, 2)
        logits: Tensor = self.head(self.high(x).max(2)[0])
        return logits
