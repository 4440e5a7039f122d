"""Set abstraction's pieces for deployment: a PointNet on each ball, and one on all points."""

import torch
from torch import Tensor, nn

from pointcmt.models.layers import activate
from pointcmt.models.set_abstraction import GlobalMLP, LocalMLP
from pointcmt.ops import ball_query
from pointcmt_export.convert.networks.fold import Affine, dense, fold, parameter, pooled_dense
from pointcmt_export.convert.networks.gather import gather_rows


class GroupedMap(nn.Module):
    """The first map of a grouped MLP, which reads (relative xyz, features).

    The features' share is computed once a point, before grouping. The position's share is computed
    on relative positions, since splitting it too would subtract large, nearly equal numbers.

    Args:
        affine: the map, of 3 + C channels.
        scale: factor of the relative positions.
    """

    def __init__(self, affine: Affine, scale: float = 1.0) -> None:
        super().__init__()
        self.position = parameter(affine.weight[:, :3].t() * scale)  # (3, C_1)
        self.bias = parameter(affine.bias)
        share = affine.weight[:, 3:].t()  # (C, C_1)
        self.feature = parameter(share) if share.numel() else None

    def forward(self, relative: Tensor, features: Tensor | None, index: Tensor) -> Tensor:
        """Map relative positions of groups to rows.

        Args:
            relative: (B * M * k, 3).
            features: (B, N, C), or None.
            index: (B, M, k) the points of each group.

        Returns:
            (B * M * k, C_1).
        """
        offset: Tensor = self.bias
        if self.feature is not None and features is not None:
            rows = features.flatten(0, 1).to(self.feature.dtype)
            share = torch.addmm(self.bias, rows, self.feature)  # (B * N, C_1)
            offset = gather_rows(share.view(*features.shape[:2], -1), index)
        return torch.addmm(offset, relative.to(self.position.dtype), self.position)


class DeployedBall(nn.Module):
    """A PointNet on each ball."""

    def __init__(self, local: LocalMLP) -> None:
        super().__init__()
        first, *middle, last = local.mlp
        self.radius, self.k, self.slope = local.radius, local.k, first.slope
        self.first = GroupedMap(fold(first.linear, first.norm), local.scale)
        self.middle = nn.Sequential(*map(dense, middle))
        self.last = pooled_dense(last)

    def forward(self, xyz: Tensor, features: Tensor | None, centres: Tensor) -> Tensor:
        """Map xyz (B, N, 3), features (B, N, C) and centres (B, M, 3) to (B, M, C_last)."""
        index = ball_query(xyz, centres, self.radius, self.k)  # (B, M, k)
        relative = relative_positions(xyz, centres, index)  # (B * M * k, 3)
        x = activate(self.first(relative, features, index), self.slope)
        x = self.middle(x)
        pooled: Tensor = self.last(x.view(-1, self.k, x.shape[1]))
        return pooled.view(*centres.shape[:2], -1)


class DeployedGlobal(nn.Module):
    """A PointNet on all points."""

    def __init__(self, top: GlobalMLP) -> None:
        super().__init__()
        *middle, last = top.mlp
        self.middle = nn.Sequential(*map(dense, middle))
        self.last = pooled_dense(last)

    def forward(self, xyz: Tensor, features: Tensor) -> Tensor:
        """Map xyz (B, N, 3) and features (B, N, C) to (B, C_last)."""
        x = torch.cat((xyz.to(features.dtype), features), dim=2).flatten(0, 1)  # (B * N, 3 + C)
        x = self.middle(x)
        pooled: Tensor = self.last(x.view(*xyz.shape[:2], x.shape[1]))
        return pooled


def relative_positions(xyz: Tensor, centres: Tensor, index: Tensor) -> Tensor:
    """Positions relative to the centres (B, M, 3) of the points in `index` (B, M, k): rows of 3."""
    near = gather_rows(xyz, index).view(-1, index.shape[2], 3)  # (B * M, k, 3)
    return (near - centres.flatten(0, 1)[:, None]).flatten(0, 1)


def sample(xyz: Tensor, chosen: Tensor) -> Tensor:
    """The chosen (B, M) of the values (B, N, C): (B, M, C)."""
    return gather_rows(xyz, chosen).view(*chosen.shape, xyz.shape[2])
