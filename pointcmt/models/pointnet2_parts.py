"""PointNet++ for part segmentation: the classifier's encoder, and feature propagation back."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from pointcmt.models.layers import MLPLayer, scaled
from pointcmt.models.pointnet2 import (
    GLOBAL,
    Encoder,
    Levels,
    PointNet2MSG,
    PointNet2SSG,
    require_counts,
)
from pointcmt.models.propagation import NEIGHBOURS, FeaturePropagation
from pointcmt.models.segmenter import require_part_counts

HIDDEN = 128


class PointNet2Parts(nn.Module):
    """PointNet++ with feature propagation (Qi et al., NeurIPS 2017, Section 3.4).

    `levels` and `top` are those of the classifier `ENCODER`, so that its trained weights fit. The
    class of the object is joined to every point's own values in the last propagation, as published.

    Args:
        num_classes: C, classes of objects.
        parts: how many parts each class has.
        channels: of a point, with the C of its class; None is xyz and these.
        width: multiplies all channels.
        bias: give the linear maps before a batch norm a bias, as some published ports have.
        centres: how many points each level samples; the first is the fewest points of a cloud.
        neighbours: neighbours of each level's scales, instead of the network's own.
        dropout: probability before the last linear map.
    """

    ENCODER: ClassVar[str]
    LEVELS: ClassVar[Levels]
    DECODER: ClassVar[tuple[tuple[int, ...], ...]]  # widths of each propagation, the coarsest first
    SMALL: ClassVar[Mapping[str, Any]]

    def __init__(
        self,
        num_classes: int,
        *,
        parts: Sequence[int],
        channels: int | None = None,
        width: float = 1.0,
        bias: bool = False,
        centres: Sequence[int] = (512, 128),
        neighbours: Sequence[Sequence[int]] | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        require_counts(self.LEVELS, centres, neighbours)
        self.num_classes = num_classes
        self.parts = require_part_counts(parts, num_classes)
        self.channels = 3 + num_classes if channels is None else channels
        self.own = self.channels - num_classes  # x, y, z and what else a point has
        if self.own < 3 or min(centres) < NEIGHBOURS:
            raise ValueError(
                f"channels must be at least {3 + num_classes} and centres at least {NEIGHBOURS}, "
                f"got {channels} and {centres}"
            )
        self.min_points = centres[0]
        encoder = Encoder(self.LEVELS, self.own, width, bias, centres, neighbours)
        self.levels, self.top = encoder.levels, encoder.top
        self.propagations, coarse = nn.ModuleList(), scaled(GLOBAL[-1], width)
        for fine, widths in zip((*encoder.widths[::-1], self.channels), self.DECODER, strict=True):
            each = [scaled(c, width) for c in widths]
            self.propagations.append(FeaturePropagation(fine, coarse, each, bias=bias))
            coarse = each[-1]
        self.hidden = MLPLayer(coarse, scaled(HIDDEN, width), bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(scaled(HIDDEN, width), sum(self.parts))

    def forward(self, points: Tensor) -> Tensor:
        """Map clouds (B, N, channels) to logits (B, N, P); N is at least `min_points`."""
        self._check(points)
        xyz = points[..., :3].contiguous()
        features = points[..., 3 : self.own] if self.own > 3 else None
        scales = [(xyz, points)]  # coordinates and values of ever fewer points
        for level in self.levels:
            xyz, features = level(xyz, features)  # (B, M, 3), (B, M, C)
            scales.append((xyz, features))
        centres, coarse = None, self.top(xyz, features).unsqueeze(1)  # (B, 1, P)
        for propagation in self.propagations:
            xyz, own = scales.pop()
            coarse = propagation(own, xyz, centres, coarse)  # (B, M, C)
            centres = xyz
        logits: Tensor = self.classifier(self.dropout(self.hidden(coarse)))
        return logits

    def _check(self, points: Tensor) -> None:
        fits = points.ndim == 3 and points.shape[2] == self.channels
        if not fits or points.shape[1] < self.min_points or not points.is_floating_point():
            raise ValueError(
                f"points must be (B, N, {self.channels}) floating point with N at least "
                f"{self.min_points} for this {type(self).__name__}, got {tuple(points.shape)} "
                f"{points.dtype}"
            )


class PointNet2SSGParts(PointNet2Parts):
    """Single-scale grouping."""

    ENCODER = "pointnet2-ssg"
    LEVELS = PointNet2SSG.LEVELS
    DECODER = ((256, 256), (256, 128), (128, 128, 128))
    SMALL = PointNet2SSG.SMALL


class PointNet2MSGParts(PointNet2Parts):
    """Multi-scale grouping, whose encoder is the PointNet++ of the PointCMT paper."""

    ENCODER = "pointnet2-msg"
    LEVELS = PointNet2MSG.LEVELS
    DECODER = ((256, 256), (256, 128), (128, 128))
    SMALL = PointNet2MSG.SMALL
