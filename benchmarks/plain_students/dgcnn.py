"""DGCNN, plainly."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.plain_students.pieces import Head, nearest, pick


class DGCNN(nn.Module):
    def __init__(self, student: Any) -> None:
        super().__init__()
        self.head = Head(student)
        self.k = student.k
        self.convs = nn.ModuleList()
        for edge in student.edge_convs:
            linear = edge.layer.linear
            self.convs.append(self.layer(linear.in_features, linear.out_features, nn.Conv2d))
        linear = student.embedding.linear
        self.embedding = self.layer(linear.in_features, linear.out_features, nn.Conv1d)

    @staticmethod
    def layer(c_in: int, c_out: int, conv: Any) -> nn.Sequential:
        norm = nn.BatchNorm2d if conv is nn.Conv2d else nn.BatchNorm1d
        return nn.Sequential(conv(c_in, c_out, 1, bias=False), norm(c_out), nn.LeakyReLU(0.2))

    def forward(self, points: Tensor) -> Tensor:
        x, space, levels = points, points[..., :3], []
        for conv in self.convs:
            neighbours = pick(x, nearest(self.k, space, space))  # (B, N, k, C)
            own = x.unsqueeze(2).expand(neighbours.shape)
            edges = torch.cat((neighbours - own, own), 3).permute(0, 3, 1, 2).contiguous()
            levels.append(conv(edges).max(3)[0])  # (B, C, N)
            x = space = levels[-1].transpose(1, 2)
        pooled = self.embedding(torch.cat(levels, 1))  # (B, 1024, N)
        maximum = F.adaptive_max_pool1d(pooled, 1).squeeze(2)
        mean = F.adaptive_avg_pool1d(pooled, 1).squeeze(2)
        logits: Tensor = self.head(torch.cat((maximum, mean), 1))
        return logits
