"""PointNet for deployment."""

import torch
from torch import Tensor, nn

from pointcmt.models.pointnet import PointNet, TNet
from pointcmt_export.convert.networks.fold import Affine, Dense, dense, fold, pooled_dense
from pointcmt_export.convert.networks.head import DeployedHead


class DeployedTNet(nn.Module):
    """The matrix that aligns each cloud; the identity is part of the last bias."""

    def __init__(self, net: TNet) -> None:
        super().__init__()
        *middle, last = net.points
        self.size = net.size
        self.middle = nn.Sequential(*map(dense, middle))
        self.last = pooled_dense(last)
        self.hidden = nn.Sequential(*map(dense, net.hidden))
        weight, bias = fold(net.matrix)
        identity = torch.eye(net.size, dtype=bias.dtype).flatten()
        self.matrix = Dense(Affine(weight, bias + identity), slope=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, C) to (B, size, size)."""
        rows = self.middle(x.flatten(0, 1))  # (B * N, C')
        pooled = self.last(rows.view(*x.shape[:2], rows.shape[1]))
        matrix: Tensor = self.matrix(self.hidden(pooled))
        return matrix.view(-1, self.size, self.size)


class DeployedPointNet(nn.Module):
    """PointNet with both alignments."""

    def __init__(self, student: PointNet) -> None:
        super().__init__()
        *middle, last = student.high
        self.input_alignment = DeployedTNet(student.input_alignment)
        self.low = nn.Sequential(*map(dense, student.low))
        self.feature_alignment = DeployedTNet(student.feature_alignment)
        self.middle = nn.Sequential(*map(dense, middle))
        self.last = pooled_dense(last)
        self.head = DeployedHead(student)

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, N, C) to logits (B, classes)."""
        turn = self.input_alignment(points)  # (B, 3, 3)
        aligned = points[..., :3].to(turn.dtype) @ turn  # (B, N, 3)
        if points.shape[2] > 3:
            aligned = torch.cat((aligned, points[..., 3:].to(turn.dtype)), dim=2)
        x = self.low(aligned.flatten(0, 1))  # (B * N, 64)
        x = x.view(*points.shape[:2], x.shape[1])
        x = (x @ self.feature_alignment(x)).flatten(0, 1)
        x = self.middle(x)  # (B * N, 128)
        logits: Tensor = self.head(self.last(x.view(*points.shape[:2], x.shape[1])))
        return logits
