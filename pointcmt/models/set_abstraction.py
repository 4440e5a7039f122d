"""Set abstraction (PointNet++): sample centres, group neighbours, a small PointNet on each."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pointcmt.models.grouped import Groups, max_over_groups, max_over_points
from pointcmt.models.layers import SharedMLP, flat_index, gather_points
from pointcmt.ops import ball_query, farthest_point_sample


class LocalMLP(nn.Module):
    """A PointNet on each ball: shared MLP over the neighbours, then the maximum.

    The first linear map reads (relative xyz, features), in this order. It is linear, so the
    features' share is taken once a point, before grouping; the position's share needs the relative
    position, whose small numbers would cancel if it too were split.

    Args:
        radius: of the ball, in the unit of xyz.
        k: neighbours of a centre.
        channels: (C, C_1, ..., C_last) with C the feature channels, 0 for none.
        bias: see `MLPLayer`.
        last_slope: activation of the last layer, see `SharedMLP`.
        relative_to_radius: divide relative positions by the radius.
    """

    def __init__(
        self,
        radius: float,
        k: int,
        channels: Sequence[int],
        *,
        bias: bool = False,
        last_slope: float = 0.0,
        relative_to_radius: bool = False,
    ) -> None:
        super().__init__()
        self.radius = radius
        self.k = k
        self.scale = 1 / radius if relative_to_radius else 1.0
        self.mlp = SharedMLP((3 + channels[0], *channels[1:]), bias=bias, last_slope=last_slope)

    def forward(self, xyz: Tensor, features: Tensor | None, centres: Tensor) -> Tensor:
        """Map xyz (B, N, 3), features (B, N, C) and centres (B, M, 3) to (B, M, C_last)."""
        index = ball_query(xyz, centres, self.radius, self.k)  # (B, M, k)
        relative = (gather_points(xyz, index) - centres.unsqueeze(2)) * self.scale  # (B, M, k, 3)
        layers = list(self.mlp)
        weight = layers[0].linear.weight  # (C_1, 3 + C)
        table = None if features is None else (features @ weight[:, 3:].t()).flatten(0, 1)
        groups = Groups(
            count=centres.shape[0] * centres.shape[1],
            k=self.k,
            local=relative.flatten(0, 2),
            weight=weight[:, :3],
            table=table,
            index=flat_index(index, xyz.shape[1]),
        )
        return max_over_groups(groups, layers).view(*centres.shape[:2], -1)  # (B, M, C_last)


class GlobalMLP(nn.Module):
    """One PointNet on all points: shared MLP over (xyz, features), then the maximum.

    Args:
        channels: (C, C_1, ..., C_last) with C the feature channels.
        bias: see `MLPLayer`.
    """

    def __init__(self, channels: Sequence[int], *, bias: bool = False) -> None:
        super().__init__()
        self.mlp = SharedMLP((3 + channels[0], *channels[1:]), bias=bias)

    def forward(self, xyz: Tensor, features: Tensor) -> Tensor:
        """Map xyz (B, N, 3) and features (B, N, C) to (B, C_last)."""
        return max_over_points(torch.cat((xyz, features), dim=2), list(self.mlp))


class SetAbstraction(nn.Module):
    """Farthest-point centres with one or more `LocalMLP` scales, joined channel-wise.

    Args:
        centres: M, how many points are sampled.
        scales: the scales.
    """

    def __init__(self, centres: int, scales: Sequence[LocalMLP]) -> None:
        super().__init__()
        self.centres = centres
        self.scales = nn.ModuleList(scales)

    def forward(self, xyz: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map (B, N, 3) and (B, N, C) to centres (B, M, 3) and their features (B, M, C')."""
        chosen = gather_points(xyz, farthest_point_sample(xyz, self.centres))  # (B, M, 3)
        return chosen, torch.cat([scale(xyz, features, chosen) for scale in self.scales], dim=2)
