"""PointMLP and PointMLP-elite for deployment."""

from typing import cast

import torch
from torch import Tensor, nn

from pointcmt.models.layers import activate
from pointcmt.models.pointmlp import PointMLP, ResidualMLP, Stage
from pointcmt.ops import farthest_point_sample, knn
from pointcmt_export.convert.networks.balls import sample
from pointcmt_export.convert.networks.fold import Affine, Dense, dense, fold, parameter
from pointcmt_export.convert.networks.gather import gather_rows
from pointcmt_export.convert.networks.head import DeployedHead


class DeployedResidual(nn.Module):
    """relu(x + layers(x)) on rows; the sum is the second product's own accumulation."""

    def __init__(self, block: ResidualMLP) -> None:
        super().__init__()
        self.first = dense(block.first)
        affine = fold(block.second.linear, block.second.norm)
        self.weight = parameter(affine.weight.t())
        self.bias = parameter(affine.bias)

    def sum(self, rows: Tensor) -> Tensor:
        """Return x + layers(x) before bias and activation, (R, C)."""
        return torch.addmm(rows, self.first(rows), self.weight)

    def finish(self, rows: Tensor) -> Tensor:
        """Add the bias and apply the activation, (R, C)."""
        return activate(rows + self.bias, 0.0)

    def forward(self, rows: Tensor) -> Tensor:
        """Apply the block to rows (R, C)."""
        return self.finish(self.sum(rows))


class DeployedStage(nn.Module):
    """Group, align, transfer, residual MLPs, maximum, residual MLPs.

    The affine map of the alignment is part of the transfer's map; only the division by the
    cloud's own deviation is left.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.centres, self.k = stage.centres, stage.k
        affine = fold(stage.transfer.linear, stage.transfer.norm)
        local, own = affine.weight.chunk(2, dim=1)  # (C_out, C) each
        alpha, beta = stage.affine.alpha.detach().double(), stage.affine.beta.detach().double()
        self.local = parameter((local * alpha).t())
        self.own = Dense(Affine(own, affine.bias + local @ beta), slope=1.0)
        self.before = nn.ModuleList(
            DeployedResidual(cast(ResidualMLP, block)) for block in stage.before
        )
        self.after = nn.Sequential(
            *(DeployedResidual(cast(ResidualMLP, block)) for block in stage.after)
        )

    def forward(self, xyz: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, N, 3) and (B, N, C) to (B, M, 3) and (B, M, C_out)."""
        chosen = farthest_point_sample(xyz, self.centres)  # (B, M)
        centre_xyz, centre = sample(xyz, chosen), sample(features, chosen)
        index = knn(centre_xyz, xyz, self.k)  # (B, M, k)
        aligned = self.aligned(features, centre, index)  # (B * M * k, C)
        x = (aligned @ self.local).view(-1, self.k, self.local.shape[1])
        own = self.own(centre.flatten(0, 1))  # (B * M, C_out)
        x = self.pooled(activate(x + own[:, None], 0.0).flatten(0, 1))  # (B * M, C_out)
        return centre_xyz, self.after(x).view(*chosen.shape, -1)

    def aligned(self, features: Tensor, centre: Tensor, index: Tensor) -> Tensor:
        """Differences to the centres, scaled to unit deviation in each cloud: rows of C."""
        near = gather_rows(features, index).view(-1, self.k, features.shape[2])  # (B * M, k, C)
        difference = near - centre.flatten(0, 1)[:, None]
        groups = difference.view(*centre.shape[:2], -1)  # (B, M, k * C)
        deviation = standard_deviation(groups) + 1e-5  # (B, 1, 1)
        return (groups / deviation.to(groups.dtype)).view(-1, features.shape[2])

    def pooled(self, rows: Tensor) -> Tensor:
        """Apply the blocks before the maximum, and the maximum: (B * M * k, C) to (B * M, C)."""
        *blocks, last = (cast(DeployedResidual, block) for block in self.before)
        for block in blocks:
            rows = block(rows)
        return last.finish(last.sum(rows).view(-1, self.k, rows.shape[1]).amax(dim=1))


class DeployedPointMLP(nn.Module):
    """PointMLP of any size."""

    def __init__(self, student: PointMLP) -> None:
        super().__init__()
        self.embedding = dense(student.embedding)
        self.stages = nn.ModuleList(DeployedStage(cast(Stage, stage)) for stage in student.stages)
        self.head = DeployedHead(student)

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, N, C) to logits (B, classes)."""
        xyz = points[..., :3]
        x = self.embedding(points.flatten(0, 1)).view(*points.shape[:2], -1)  # (B, N, C')
        for stage in self.stages:
            xyz, x = stage(xyz, x)  # (B, M, 3), (B, M, C')
        logits: Tensor = self.head(x.amax(dim=1))
        return logits


def standard_deviation(groups: Tensor) -> Tensor:
    """Standard deviation of each cloud of values (B, M, L): (B, 1, 1) float32.

    Summed group by group: one running float32 sum over the million values of a cloud, which is what
    engines make of `std`, is too inexact for equal logits.
    """
    values = groups.float()
    mean = values.mean(dim=2, keepdim=True).mean(dim=1, keepdim=True)
    variance = (values - mean).pow(2).mean(dim=2, keepdim=True).mean(dim=1, keepdim=True)
    count = values.shape[1] * values.shape[2]
    return (variance * (count / (count - 1))).sqrt()
