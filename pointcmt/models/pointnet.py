"""PointNet (Qi et al., CVPR 2017): a shared MLP, a maximum, and two learnt alignments."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from pointcmt.models.grouped import max_over_points
from pointcmt.models.layers import SharedMLP, scaled
from pointcmt.models.student import HeadName, PointStudent, Size


class TNet(nn.Module):
    """Predict a matrix that aligns the points of each cloud: (B, N, C) -> (B, size, size).

    It starts near the identity, which is added to the prediction.

    Args:
        c_in: C, channels read.
        size: of the square matrix.
        width: channel multiplier.
    """

    def __init__(self, c_in: int, size: int, width: float = 1.0) -> None:
        super().__init__()
        w64, w128, w256, w512, w1024 = (scaled(c, width) for c in (64, 128, 256, 512, 1024))
        self.size = size
        self.points = SharedMLP((c_in, w64, w128, w1024), bias=True)
        self.hidden = SharedMLP((w1024, w512, w256), bias=True)
        self.matrix = nn.Linear(w256, size * size)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, C) to (B, size, size)."""
        pooled = max_over_points(x, list(self.points))  # (B, 1024)
        delta = self.matrix(self.hidden(pooled)).view(-1, self.size, self.size)
        return cast(Tensor, delta + torch.eye(self.size, dtype=x.dtype, device=x.device))


class PointNet(PointStudent):
    """PointNet with input and feature alignment.

    Every linear map has a bias, as published. Table 1 of the PointCMT paper quotes the size of the
    published network, which has the original head.

    Args:
        num_classes: C.
        channels: of a point; the input alignment turns xyz only.
        feature_dim: length of the global feature with the "pointcmt" head.
        width: multiplies all hidden channels.
        head: see `PointStudent`.
        dropout: probability in the head; None is the head's own, 0.4 for "original" and none
            for "pointcmt".
    """

    SMALL: ClassVar[Mapping[str, Any]] = {}
    SIZES = (Size(3_471_473, 3.47, {"head": "original"}),)

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = 3,
        feature_dim: int = 512,
        width: float = 1.0,
        head: HeadName = "pointcmt",
        dropout: float | None = None,
    ) -> None:
        w64, w128, w1024 = (scaled(c, width) for c in (64, 128, 1024))
        super().__init__(
            num_classes,
            channels=channels,
            min_points=1,
            pooled=w1024,
            feature_dim=feature_dim,
            head=head,
            biases=(True, True),
            dropout=dropout,
            original_dropout=0.4,
        )
        self.input_alignment = TNet(channels, 3, width)
        self.low = SharedMLP((channels, w64), bias=True)
        self.feature_alignment = TNet(w64, w64, width)
        self.high = SharedMLP((w64, w128, w1024), bias=True, last_slope=1.0)

    def embed(self, points: Tensor) -> Tensor:
        """Map (B, N, channels) to (B, 1024 * width)."""
        aligned = points[..., :3] @ self.input_alignment(points)  # (B, N, 3)
        x = self.low(torch.cat((aligned, points[..., 3:]), dim=2))  # (B, N, 64)
        x = x @ self.feature_alignment(x)  # (B, N, 64)
        return max_over_points(x, list(self.high))  # (B, 1024)
