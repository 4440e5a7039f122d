"""RS-CNN (Liu et al., CVPR 2019), single scale: weights learnt from geometric relations."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pointcmt.models.grouped.moments import max_of_normed, narrow_affine, rising
from pointcmt.models.layers import MLPLayer, flat_index, gather_points, scaled
from pointcmt.models.set_abstraction import GlobalMLP
from pointcmt.models.student import HeadName, PointStudent, Size
from pointcmt.ops import ball_query, farthest_point_sample

RADII = (0.23, 0.32)
NEIGHBOURS = (48, 64)
RELATION = 10  # distance, centre, neighbour, difference
RAISED = 16


class RSConv(nn.Module):
    """Relation-shape convolution: neighbours weighted by a map of their relation to the centre.

    Args:
        radius: of the neighbourhood.
        k: neighbours beside the centre itself.
        c_in: channels of the features, 0 for none; the relative position is put before them.
        c_out: channels of the result.
        mapped: hidden channels of the map from relation to weight.
        raised: channels to which (position, features) are raised first; None leaves them.
        absolute: see `RSCNN`.
    """

    def __init__(
        self,
        radius: float,
        k: int,
        c_in: int,
        c_out: int,
        *,
        mapped: int,
        raised: int | None,
        absolute: bool,
    ) -> None:
        super().__init__()
        self.radius = radius
        self.k = k
        self.absolute = absolute
        weighted = raised or 3 + c_in
        self.raise_channels = MLPLayer(3 + c_in, raised, bias=True) if raised else None
        self.relation = MLPLayer(RELATION, mapped, bias=True)
        self.to_weight = nn.Linear(mapped, weighted)
        self.norm = nn.BatchNorm1d(weighted)
        self.out = MLPLayer(weighted, c_out, bias=True)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, xyz: Tensor, features: Tensor | None, chosen: Tensor) -> Tensor:
        """Map xyz (B, N, 3), features (B, N, C) and centre indices (B, M) to (B, M, C_out)."""
        index = self.neighbourhood(xyz, chosen)  # (B, M, K)
        k, flat = index.shape[2], flat_index(index, xyz.shape[1])
        centre = gather_points(xyz, chosen).flatten(0, 1).repeat_interleave(k, 0)  # (B * M * K, 3)
        values = relative = xyz.flatten(0, 1).index_select(0, flat) - centre
        if features is not None:
            gathered = features.flatten(0, 1).index_select(0, flat)
            values = torch.cat((relative, gathered), dim=1)  # (B * M * K, 3 + C)
        relation, weight = self.relate(relative, centre)
        sign = rising(self.norm)  # (W,)
        shared = [*narrow_affine(self.relation, relation, weight)]
        shared += [self.to_weight.weight * sign.unsqueeze(1), self.to_weight.bias * sign]
        if self.raise_channels is not None:
            shared += narrow_affine(self.raise_channels, values, self.raise_channels.linear.weight)
        pooled = max_of_normed(self.norm, k, _weighted, (relation, values), shared)  # (B * M, W)
        result: Tensor = self.out(pooled)
        return result.view(*chosen.shape, -1)

    def neighbourhood(self, xyz: Tensor, chosen: Tensor) -> Tensor:
        """Return each centre with its first k other neighbours, (B, M, k + 1).

        Where there are fewer than k, the centre fills the row; the order means nothing.
        """
        own = chosen.unsqueeze(2)  # (B, M, 1)
        index = ball_query(xyz, gather_points(xyz, chosen), self.radius, self.k + 1)
        filler = index == index[..., :1]
        filler[..., 0] = False
        index = torch.where(filler, own, index)
        index[..., -1:] = torch.where((index == own).any(2, keepdim=True), index[..., -1:], own)
        return index

    def relate(self, relative: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Return the relations of neighbours to centres (R, c), and the map of them (mapped, c).

        A relation is (distance, centre, neighbour, difference), which has four free numbers, and
        three more where positions are absolute; the map's weights are added up accordingly.

        Args:
            relative: (R, 3) neighbours relative to their centres.
            centre: (R, 3).
        """
        distance = torch.linalg.vector_norm(relative, dim=1, keepdim=True)
        whole = self.relation.linear.weight  # (mapped, 10)
        by_distance, first, second, difference = torch.split(whole, [1, 3, 3, 3], dim=1)
        rows, weight = [distance, relative], [by_distance, second + difference]
        if self.absolute:
            rows.append(centre)
            weight.append(first + second)
        return torch.cat(rows, dim=1), torch.cat(weight, dim=1)


def _weighted(
    relation: Tensor,
    values: Tensor,
    matrix: Tensor,
    shift: Tensor,
    to_weight: Tensor,
    bias: Tensor,
    raising: Tensor | None = None,
    raised_shift: Tensor | None = None,
) -> Tensor:
    """Weight values (R, 3 + C), raised where there is a map for it, by their relations (R, c)."""
    weight = nn.functional.linear(torch.addmm(shift, relation, matrix).relu_(), to_weight, bias)
    if raising is not None and raised_shift is not None:
        values = torch.addmm(raised_shift, values, raising).relu_()
    return values * weight


class RSCNN(PointStudent):
    """RS-CNN with one neighbourhood scale, as in Table 1.

    The released single-scale network has the same layers and one batch norm more that it never
    uses (32 parameters); the 1.41M that its paper states fits neither.

    Args:
        num_classes: C.
        channels: of a point; those behind xyz are features of the first level.
        feature_dim: length of the global feature with the "pointcmt" head.
        width: multiplies the channels before the head.
        head: see `PointStudent`.
        centres: how many points each level samples; the first is the fewest points of a cloud.
        absolute: give the relation the absolute positions of centre and neighbour, as the paper
            words it. The released code subtracts the centre in place, so that its networks, whose
            accuracy is published, saw zero and the difference instead: the default.
        dropout: probability in the head; None is the head's own, 0.5 for "original" and none
            for "pointcmt".
    """

    SMALL: ClassVar[Mapping[str, Any]] = {"centres": (32, 12)}
    SIZES = (Size(1_168_129, 1.17),)  # Table 1 of the PointCMT paper

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = 3,
        feature_dim: int = 512,
        width: float = 1.0,
        head: HeadName = "pointcmt",
        centres: Sequence[int] = (512, 128),
        absolute: bool = False,
        dropout: float | None = None,
    ) -> None:
        w128, w512, w1024 = (scaled(c, width) for c in (128, 512, 1024))
        super().__init__(
            num_classes,
            channels=channels,
            min_points=centres[0],
            pooled=w1024,
            feature_dim=feature_dim,
            head=head,
            dropout=dropout,
        )
        self.centres = tuple(centres)
        (r1, r2), (k1, k2) = RADII, NEIGHBOURS
        self.convs = nn.ModuleList(
            (
                RSConv(
                    r1, k1, channels - 3, w128, mapped=w128 // 2, raised=RAISED, absolute=absolute
                ),
                RSConv(r2, k2, w128, w512, mapped=w512 // 4, raised=None, absolute=absolute),
            )
        )
        self.top = GlobalMLP((w512, w1024), bias=True)

    def embed(self, points: Tensor) -> Tensor:
        """Map (B, N, channels) to (B, 1024 * width)."""
        xyz = points[..., :3].contiguous()
        features = points[..., 3:] if self.channels > 3 else None
        for conv, m in zip(self.convs, self.centres, strict=True):
            chosen = farthest_point_sample(xyz, m)  # (B, M)
            features = conv(xyz, features, chosen)  # (B, M, C)
            xyz = gather_points(xyz, chosen)  # (B, M, 3)
        pooled: Tensor = self.top(xyz, features)
        return pooled
