"""PointNeXt-S (Qian et al., NeurIPS 2022): PointNet++ with shortcuts and normalised positions."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from pointcmt.models.layers import activate, gather_points, scaled
from pointcmt.models.set_abstraction import GlobalMLP, LocalMLP
from pointcmt.models.student import HeadName, PointStudent, Size
from pointcmt.ops import farthest_point_sample

STEM = 32
RADIUS = 0.15
GROWTH = 1.5  # of the radius from level to level
NEIGHBOURS = 32


class ResidualAbstraction(nn.Module):
    """Set abstraction with a shortcut from the centre's own features.

    Args:
        centres: M.
        radius: of the balls; relative positions are divided by it.
        c_in: C.
        c_out: channels of the result.
    """

    def __init__(self, centres: int, radius: float, c_in: int, c_out: int) -> None:
        super().__init__()
        self.centres = centres
        widths = (c_in, c_out // 2, c_out)
        self.local = LocalMLP(radius, NEIGHBOURS, widths, last_slope=1.0, relative_to_radius=True)
        self.shortcut = nn.Linear(c_in, c_out)

    def forward(self, xyz: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, N, 3) and (B, N, C) to (B, M, 3) and (B, M, C_out)."""
        chosen = farthest_point_sample(xyz, self.centres)  # (B, M)
        centres = gather_points(xyz, chosen)  # (B, M, 3)
        own = self.shortcut(gather_points(features, chosen))  # (B, M, C_out)
        return centres, activate(self.local(xyz, features, centres) + own, 0.0)


class PointNeXtS(PointStudent):
    """PointNeXt-S: a linear stem, four residual set abstractions, a global PointNet.

    The published network halves whatever number of points it gets; here the centres are those of
    1,024 points, the number it is trained with. The published sizes are those stated with its
    configurations for ModelNet40 and for ScanObjectNN.

    Args:
        num_classes: C.
        channels: of a point, all read by the stem; the published ScanObjectNN network has the
            height as a fourth.
        feature_dim: length of the global feature with the "pointcmt" head.
        width: multiplies the channels before the head; 2 gives the published C = 64.
        head: see `PointStudent`.
        centres: how many points each level samples; the first is the fewest points of a cloud.
        dropout: probability in the head; None is the head's own, 0.5 for "original" and none
            for "pointcmt".
    """

    SMALL: ClassVar[Mapping[str, Any]] = {"centres": (32, 12)}
    SIZES = (
        Size(1_373_512, 1.374, {"head": "original"}),
        Size(1_367_119, 1.367, {"head": "original", "channels": 4}, classes=15),
    )

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = 3,
        feature_dim: int = 512,
        width: float = 1.0,
        head: HeadName = "pointcmt",
        centres: Sequence[int] = (512, 256, 128, 64),
        dropout: float | None = None,
    ) -> None:
        stem = scaled(STEM, width)
        widths = [stem * 2**level for level in range(len(centres) + 1)]
        super().__init__(
            num_classes,
            channels=channels,
            min_points=centres[0],
            pooled=widths[-1],
            feature_dim=feature_dim,
            head=head,
            dropout=dropout,
        )
        self.stem = nn.Linear(channels, stem)
        self.levels = nn.ModuleList(
            ResidualAbstraction(m, RADIUS * GROWTH**level, c_in, c_out)
            for level, (m, (c_in, c_out)) in enumerate(zip(centres, pairwise(widths), strict=True))
        )
        self.top = GlobalMLP((widths[-1], widths[-1], widths[-1]))

    def embed(self, points: Tensor) -> Tensor:
        """Map (B, N, channels) to (B, 512 * width)."""
        xyz, x = points[..., :3].contiguous(), self.stem(points)  # (B, N, 3), (B, N, 32)
        for level in self.levels:
            xyz, x = level(xyz, x)  # (B, M, 3), (B, M, C)
        pooled: Tensor = self.top(xyz, x)
        return pooled
