"""PointNet++ for deployment."""

import torch
from torch import Tensor, nn

from pointcmt.models.pointnet2 import PointNet2
from pointcmt.models.set_abstraction import LocalMLP, SetAbstraction
from pointcmt.ops import farthest_point_sample
from pointcmt_export.convert.networks.balls import DeployedBall, DeployedGlobal, sample
from pointcmt_export.convert.networks.head import DeployedHead


class DeployedAbstraction(nn.Module):
    """Farthest-point centres with their scales."""

    def __init__(self, level: SetAbstraction) -> None:
        super().__init__()
        self.centres = level.centres
        self.scales = nn.ModuleList(
            DeployedBall(scale) for scale in level.scales if isinstance(scale, LocalMLP)
        )

    def forward(self, xyz: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map (B, N, 3), (B, N, C) to centres (B, M, 3) and their features (B, M, C')."""
        centres = sample(xyz, farthest_point_sample(xyz, self.centres))  # (B, M, 3)
        return centres, torch.cat([ball(xyz, features, centres) for ball in self.scales], dim=2)


class DeployedPointNet2(nn.Module):
    """PointNet++ with any levels and scales."""

    def __init__(self, student: PointNet2) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            DeployedAbstraction(level)
            for level in student.levels
            if isinstance(level, SetAbstraction)
        )
        self.top = DeployedGlobal(student.top)
        self.head = DeployedHead(student)

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, N, C) to logits (B, classes)."""
        xyz = points[..., :3]
        features = points[..., 3:] if points.shape[2] > 3 else None
        for level in self.levels:
            xyz, features = level(xyz, features)  # (B, M, 3), (B, M, C')
        logits: Tensor = self.head(self.top(xyz, features))
        return logits
