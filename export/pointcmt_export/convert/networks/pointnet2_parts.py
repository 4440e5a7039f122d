"""PointNet++ for part segmentation, for deployment."""

import torch
from torch import Tensor, nn

from pointcmt.models.layers import activate
from pointcmt.models.pointnet2_parts import PointNet2Parts
from pointcmt.models.propagation import NEIGHBOURS, FeaturePropagation, inverse_distance
from pointcmt.models.set_abstraction import SetAbstraction
from pointcmt.ops import knn
from pointcmt_export.convert.networks.balls import DeployedGlobal
from pointcmt_export.convert.networks.fold import Dense, dense, fold, parameter
from pointcmt_export.convert.networks.gather import gather_rows
from pointcmt_export.convert.networks.pointnet2 import DeployedAbstraction


class DeployedPropagation(nn.Module):
    """Feature propagation; the interpolated features' share of the first map is taken before it."""

    def __init__(self, propagation: FeaturePropagation) -> None:
        super().__init__()
        first, *rest = propagation.mlp
        affine = fold(first.linear, first.norm)
        self.own = parameter(affine.weight[:, : propagation.own].t())  # (own, C_1)
        self.coarse = parameter(affine.weight[:, propagation.own :].t())  # (coarse, C_1)
        self.bias = parameter(affine.bias)
        self.slope = first.slope
        self.rest = nn.Sequential(*map(dense, rest))

    def forward(self, own: Tensor, xyz: Tensor, centres: Tensor | None, features: Tensor) -> Tensor:
        """Map own (B, N, own) and features (B, M, coarse) of centres (B, M, 3) to (B, N, C)."""
        dtype = self.own.dtype
        share = (features.flatten(0, 1).to(dtype) @ self.coarse).view(*features.shape[:2], -1)
        x = torch.addmm(self.bias, own.flatten(0, 1).to(dtype), self.own)  # (B * N, C_1)
        x = x.view(*own.shape[:2], -1)
        x = x + (share if centres is None else interpolated(xyz, centres, share))
        rows: Tensor = self.rest(activate(x, self.slope).flatten(0, 1))
        return rows.view(*own.shape[:2], -1)


def interpolated(xyz: Tensor, centres: Tensor, features: Tensor) -> Tensor:
    """Interpolate features (B, M, C) of centres (B, M, 3) at xyz (B, N, 3): (B, N, C)."""
    index = knn(xyz, centres, NEIGHBOURS)  # (B, N, 3)
    near = gather_rows(centres, index).view(*index.shape, 3)  # (B, N, 3, 3)
    weights = inverse_distance((near - xyz.unsqueeze(2)).pow(2).sum(dim=3))  # (B, N, 3)
    rows = gather_rows(features, index).view(*index.shape, features.shape[2])  # (B, N, 3, C)
    return (rows * weights.unsqueeze(3).to(rows.dtype)).sum(dim=2)


class DeployedPointNet2Parts(nn.Module):
    """PointNet++ with feature propagation, with any levels and scales."""

    def __init__(self, segmenter: PointNet2Parts) -> None:
        super().__init__()
        self.channels = segmenter.own
        self.levels = nn.ModuleList(
            DeployedAbstraction(level)
            for level in segmenter.levels
            if isinstance(level, SetAbstraction)
        )
        self.top = DeployedGlobal(segmenter.top)
        self.propagations = nn.ModuleList(
            DeployedPropagation(each)
            for each in segmenter.propagations
            if isinstance(each, FeaturePropagation)
        )
        self.hidden = dense(segmenter.hidden)
        self.classifier = Dense(fold(segmenter.classifier), slope=1.0)

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, N, channels) to logits (B, N, P)."""
        xyz = points[..., :3]
        features = points[..., 3 : self.channels] if self.channels > 3 else None
        scales = [(xyz, points)]
        for level in self.levels:
            xyz, features = level(xyz, features)  # (B, M, 3), (B, M, C)
            scales.append((xyz, features))
        centres, coarse = None, self.top(xyz, features).unsqueeze(1)  # (B, 1, P)
        for propagation in self.propagations:
            xyz, own = scales.pop()
            coarse = propagation(own, xyz, centres, coarse)  # (B, M, C)
            centres = xyz
        logits: Tensor = self.classifier(self.hidden(coarse.flatten(0, 1)))
        return logits.float().view(*points.shape[:2], -1)
