"""RS-CNN for deployment."""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from pointcmt.models.layers import activate
from pointcmt.models.rscnn import RSCNN, RSConv
from pointcmt.ops import ball_query, farthest_point_sample
from pointcmt_export.convert.networks.balls import (
    DeployedGlobal,
    GroupedMap,
    relative_positions,
    sample,
)
from pointcmt_export.convert.networks.fold import Affine, Dense, dense, fold, normalizer, parameter
from pointcmt_export.convert.networks.gather import gather_rows
from pointcmt_export.convert.networks.head import DeployedHead


class DeployedRSConv(nn.Module):
    """Relation-shape convolution.

    The relation (distance, first, second, difference) has but four free numbers a neighbour, and
    the centre's three where positions are absolute: its map reads (distance, difference) a
    neighbour and the centre once a group. The batch norm behind the weighting is a factor of the
    weights and a shift, which comes after the maximum.
    """

    def __init__(self, conv: RSConv) -> None:
        super().__init__()
        self.radius, self.k = conv.radius, conv.k
        raised = conv.raise_channels
        self.raised = None if raised is None else GroupedMap(fold(raised.linear, raised.norm))
        weight, bias = fold(conv.relation.linear, conv.relation.norm)  # (mapped, 10)
        distance, first, second, difference = torch.split(weight, [1, 3, 3, 3], dim=1)
        relation = torch.cat((distance, second + difference), dim=1)  # (mapped, 4)
        self.relation = Dense(Affine(relation, bias), slope=1.0)
        self.centre = parameter((first + second).t()) if conv.absolute else None  # (3, mapped)
        scale, shift = normalizer(conv.norm)
        weight, bias = fold(conv.to_weight)
        weight, bias = weight * scale[:, None], bias * scale
        ends = (0, len(scale)) if self.raised is not None else (0, 3, len(scale))
        self.to_weights = nn.ModuleList(
            Dense(Affine(weight[a:b], bias[a:b]), slope=1.0) for a, b in pairwise(ends) if b > a
        )
        self.shift = parameter(shift)
        self.out = dense(conv.out)

    def forward(self, xyz: Tensor, features: Tensor | None, chosen: Tensor) -> Tensor:
        """Map xyz (B, N, 3), features (B, N, C) and centre indices (B, M) to (B, M, C_out)."""
        centres = sample(xyz, chosen)  # (B, M, 3)
        index = self.neighbourhood(xyz, centres, chosen)  # (B, M, K)
        relative = relative_positions(xyz, centres, index)  # (B * M * K, 3)
        relation = self.relate(relative, centres, index.shape[2])  # (B * M * K, mapped)
        products = [
            values * to_weight(relation)
            for values, to_weight in zip(
                self.values(relative, features, index), self.to_weights, strict=True
            )
        ]
        pooled = [p.view(-1, index.shape[2], p.shape[1]).amax(dim=1) for p in products]
        x = activate(torch.cat(pooled, dim=1) + self.shift, 0.0)  # (B * M, W)
        result: Tensor = self.out(x)
        return result.view(*chosen.shape, -1)

    def neighbourhood(self, xyz: Tensor, centres: Tensor, chosen: Tensor) -> Tensor:
        """Each centre with its first k other neighbours (B, M, k + 1); the centre fills up."""
        own = chosen.unsqueeze(2)  # (B, M, 1)
        index = ball_query(xyz, centres, self.radius, self.k + 1)
        first, others = index[..., :1], index[..., 1:]
        others = torch.where(others == first, own, others)
        present = torch.logical_or(first == own, (others == own).any(dim=2, keepdim=True))
        last = torch.where(present, others[..., -1:], own)
        return torch.cat((first, others[..., :-1], last), dim=2)

    def relate(self, relative: Tensor, centres: Tensor, k: int) -> Tensor:
        """Map relations to (B * M * K, mapped)."""
        distance = torch.linalg.vector_norm(relative, dim=1, keepdim=True)
        mapped: Tensor = self.relation(torch.cat((distance, relative), dim=1))
        if self.centre is not None:
            share = centres.flatten(0, 1).to(self.centre.dtype) @ self.centre  # (B * M, mapped)
            mapped = (mapped.view(-1, k, mapped.shape[1]) + share[:, None]).flatten(0, 1)
        return activate(mapped, 0.0)

    def values(self, relative: Tensor, features: Tensor | None, index: Tensor) -> list[Tensor]:
        """What is weighted: raised channels, or relative positions and features apart."""
        if self.raised is not None:
            return [activate(self.raised(relative, features, index), 0.0)]
        relative = relative.to(self.shift.dtype)
        return [relative] if features is None else [relative, gather_rows(features, index)]


class DeployedRSCNN(nn.Module):
    """RS-CNN with one neighbourhood scale."""

    def __init__(self, student: RSCNN) -> None:
        super().__init__()
        self.centres = student.centres
        self.convs = nn.ModuleList(DeployedRSConv(cast(RSConv, conv)) for conv in student.convs)
        self.top = DeployedGlobal(student.top)
        self.head = DeployedHead(student)

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, N, C) to logits (B, classes)."""
        xyz = points[..., :3]
        features = points[..., 3:] if points.shape[2] > 3 else None
        for conv, m in zip(self.convs, self.centres, strict=True):
            chosen = farthest_point_sample(xyz, m)  # (B, M)
            features = conv(xyz, features, chosen)  # (B, M, C')
            xyz = sample(xyz, chosen)  # (B, M, 3)
        logits: Tensor = self.head(self.top(xyz, features))
        return logits
