"""PointNet++ for deployment."""

import torch
from torch import Tensor, nn

from pointcmt.models.layers import activate
from pointcmt.models.pointnet2 import PointNet2
from pointcmt.models.set_abstraction import LocalMLP, SetAbstraction
from pointcmt.ops import ball_query, farthest_point_sample
from pointcmt_export.graph.fold import dense, fold, parameter, pooled_dense
from pointcmt_export.graph.head import DeployedHead
from pointcmt_export.graph.rows import gather_rows


class DeployedBall(nn.Module):
    """One scale of a set abstraction.

    The first map reads (relative xyz, features). The features' share is computed once a point; the
    position's share is computed on relative positions, since splitting it too would subtract
    large, nearly equal numbers.
    """

    def __init__(self, local: LocalMLP) -> None:
        super().__init__()
        first, *middle, last = local.mlp
        self.radius, self.k, self.slope = local.radius, local.k, first.slope
        affine = fold(first.linear, first.norm)
        self.position = parameter(affine.weight[:, :3].t() * local.scale)  # (3, C_1)
        self.bias = parameter(affine.bias)
        share = affine.weight[:, 3:].t()  # (C, C_1)
        self.feature = parameter(share) if share.numel() else None
        self.middle = nn.Sequential(*map(dense, middle))
        self.last = pooled_dense(last)

    def forward(self, xyz: Tensor, features: Tensor | None, centres: Tensor) -> Tensor:
        """Map xyz (B, N, 3), features (B * N, C) and centres (B, M, 3) to (B * M, C_last)."""
        index = ball_query(xyz, centres, self.radius, self.k)  # (B, M, k)
        near = gather_rows(xyz, index).view(-1, self.k, 3)  # (B * M, k, 3)
        relative = (near - centres.flatten(0, 1)[:, None]).flatten(0, 1)  # (B * M * k, 3)
        relative = relative.to(self.position.dtype)
        offset: Tensor = self.bias
        if self.feature is not None and features is not None:
            share = torch.addmm(self.bias, features, self.feature)  # (B * N, C_1)
            offset = gather_rows(share.view(*xyz.shape[:2], -1), index)  # (B * M * k, C_1)
        x = activate(torch.addmm(offset, relative, self.position), self.slope)
        x = self.middle(x)
        pooled: Tensor = self.last(x.view(-1, self.k, x.shape[1]))
        return pooled


class DeployedAbstraction(nn.Module):
    """Farthest-point centres with their scales."""

    def __init__(self, level: SetAbstraction) -> None:
        super().__init__()
        self.centres = level.centres
        self.scales = nn.ModuleList(
            DeployedBall(scale) for scale in level.scales if isinstance(scale, LocalMLP)
        )

    def forward(self, xyz: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map (B, N, 3), (B * N, C) to centres (B, M, 3) and their features (B * M, C')."""
        chosen = farthest_point_sample(xyz, self.centres)  # (B, M)
        centres = gather_rows(xyz, chosen).view(-1, self.centres, 3)  # (B, M, 3)
        return centres, torch.cat([ball(xyz, features, centres) for ball in self.scales], dim=1)


class DeployedPointNet2(nn.Module):
    """PointNet++ with any levels and scales."""

    def __init__(self, student: PointNet2) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            DeployedAbstraction(level)
            for level in student.levels
            if isinstance(level, SetAbstraction)
        )
        *middle, last = student.top.mlp
        self.top = nn.Sequential(*map(dense, middle))
        self.pool = pooled_dense(last)
        self.head = DeployedHead(student)

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, N, C) to logits (B, classes)."""
        xyz = points[..., :3]
        features = points[..., 3:].flatten(0, 1) if points.shape[2] > 3 else None
        for level in self.levels:
            xyz, features = level(xyz, features)  # (B, M, 3), (B * M, C')
        rows = xyz.flatten(0, 1)
        x = rows if features is None else torch.cat([rows.to(features.dtype), features], dim=1)
        x = self.top(x)  # (B * M, C'')
        logits: Tensor = self.head(self.pool(x.view(*xyz.shape[:2], x.shape[1])))
        return logits
