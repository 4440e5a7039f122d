"""PointSet: a shared MLP on every point, and a maximum."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from pointcmt.models.layers import SharedMLP, scaled
from pointcmt.models.student import HeadName, PointStudent, Size


class PointSet(PointStudent):
    SMALL: ClassVar[Mapping[str, Any]] = {}
    SIZES = (Size(161_480, None),)

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
        pooled = scaled(256, width)
        super().__init__(
            num_classes,
            channels=channels,
            min_points=1,
            pooled=pooled,
            feature_dim=feature_dim,
            head=head,
            dropout=dropout,
        )
        self.points = SharedMLP((channels, scaled(32, width), pooled))

    def embed(self, points: Tensor) -> Tensor:
        features: Tensor = self.points(points)  # (B, N, 256)
        return features.amax(dim=1)
