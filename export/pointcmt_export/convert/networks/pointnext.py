"""PointNeXt-S for deployment."""

from typing import cast

from torch import Tensor, nn

from pointcmt.models.layers import activate
from pointcmt.models.pointnext import PointNeXtS, ResidualAbstraction
from pointcmt.ops import farthest_point_sample
from pointcmt_export.convert.networks.balls import DeployedBall, DeployedGlobal, sample
from pointcmt_export.convert.networks.fold import Dense, fold
from pointcmt_export.convert.networks.head import DeployedHead


class DeployedResidual(nn.Module):
    """Set abstraction with a shortcut from the centre's own features."""

    def __init__(self, level: ResidualAbstraction) -> None:
        super().__init__()
        self.centres = level.centres
        self.local = DeployedBall(level.local)
        self.shortcut = Dense(fold(level.shortcut), slope=1.0)

    def forward(self, xyz: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, N, 3) and (B, N, C) to (B, M, 3) and (B, M, C')."""
        chosen = farthest_point_sample(xyz, self.centres)  # (B, M)
        centres = sample(xyz, chosen)  # (B, M, 3)
        own = self.shortcut(sample(features, chosen))  # (B, M, C')
        return centres, activate(self.local(xyz, features, centres) + own, 0.0)


class DeployedPointNeXt(nn.Module):
    """PointNeXt-S."""

    def __init__(self, student: PointNeXtS) -> None:
        super().__init__()
        self.stem = Dense(fold(student.stem), slope=1.0)
        self.levels = nn.ModuleList(
            DeployedResidual(cast(ResidualAbstraction, level)) for level in student.levels
        )
        self.top = DeployedGlobal(student.top)
        self.head = DeployedHead(student)

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, N, C) to logits (B, classes)."""
        xyz, x = points[..., :3], self.stem(points)  # (B, N, 3), (B, N, 32)
        for level in self.levels:
            xyz, x = level(xyz, x)  # (B, M, 3), (B, M, C')
        logits: Tensor = self.head(self.top(xyz, x))
        return logits
