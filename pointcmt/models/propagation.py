"""Feature propagation (PointNet++): features of few points, interpolated at many."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt.models.layers import SharedMLP, flat_index, gather_points
from pointcmt.ops import knn

NEIGHBOURS = 3
LEAST = 1e-8  # is added to squared distances, so that a point on a centre has a finite weight


def inverse_distance(squared: Tensor) -> Tensor:
    """Weights (..., k) of neighbours, the inverse of their squared distances, with sum 1."""
    weights = 1 / (squared + LEAST)
    return weights / weights.sum(dim=-1, keepdim=True)


def interpolate(xyz: Tensor, centres: Tensor, features: Tensor) -> Tensor:
    """Interpolate features at points from their three nearest centres (PointNet++, Eq. 2, p = 2).

    Args:
        xyz: (B, N, 3) points.
        centres: (B, M, 3), M at least 3.
        features: (B, M, C) of the centres.

    Returns:
        (B, N, C).
    """
    index = knn(xyz, centres, NEIGHBOURS)  # (B, N, 3)
    apart = gather_points(centres, index) - xyz.unsqueeze(2)  # (B, N, 3, 3)
    weights = inverse_distance(apart.square().sum(dim=3))  # (B, N, 3)
    flat = flat_index(index, centres.shape[1]).view(-1, NEIGHBOURS)  # (B * N, 3)
    table = features.flatten(0, 1)  # (B * M, C)
    found = F.embedding_bag(  # the weighted sum of rows, which spares gathering them
        flat, table, per_sample_weights=weights.flatten(0, 1).to(table.dtype), mode="sum"
    )
    return found.view(*xyz.shape[:2], -1)


class FeaturePropagation(nn.Module):
    """Features of centres are brought to more points, joined with theirs, and pass a unit PointNet.

    The unit PointNet reads (own features, interpolated features), in this order. Its first map is
    linear and the weights sum to 1, so that the interpolated features' share is taken at the few
    centres, before interpolation.

    Args:
        own: channels of the points' own features.
        coarse: channels of the centres' features.
        widths: of the unit PointNet.
        bias: see `MLPLayer`.
    """

    def __init__(self, own: int, coarse: int, widths: Sequence[int], *, bias: bool = False) -> None:
        super().__init__()
        self.own = own
        self.mlp = SharedMLP((own + coarse, *widths), bias=bias)

    def forward(self, own: Tensor, xyz: Tensor, centres: Tensor | None, features: Tensor) -> Tensor:
        """Propagate.

        Args:
            own: (B, N, own).
            xyz: (B, N, 3).
            centres: (B, M, 3), or None where there is one feature a cloud.
            features: (B, M, coarse), or (B, 1, coarse).

        Returns:
            (B, N, widths[-1]).
        """
        first, *rest = self.mlp
        linear = first.linear
        coarse = features @ linear.weight[:, self.own :].t()  # (B, M, C_1)
        if centres is not None:
            coarse = interpolate(xyz, centres, coarse)  # (B, N, C_1)
        x = own @ linear.weight[:, : self.own].t() + coarse
        x = first.finish(x if linear.bias is None else x + linear.bias)
        for layer in rest:
            x = layer(x)  # (B, N, C_l)
        return x
