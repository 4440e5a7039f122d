"""DGCNN (Wang et al., ACM TOG 2019): convolution over edges of graphs in feature space."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pointcmt.models.edge_conv import EdgeConv
from pointcmt.models.layers import MLPLayer, scaled
from pointcmt.models.student import HeadName, PointStudent, Size, require_neighbours
from pointcmt.ops import knn

SLOPE = 0.2
WIDTHS = (64, 64, 128, 256)
EMBEDDING = 1024


class DGCNN(PointStudent):
    """Four edge convolutions, each on the k nearest neighbours in the features before it.

    Args:
        num_classes: C.
        channels: of a point; the first graph is built on xyz alone.
        feature_dim: length of the global feature with the "pointcmt" head.
        width: multiplies all channels before the head.
        head: see `PointStudent`.
        k: neighbours, the point itself among them; also the fewest points of a cloud. The
            published networks use 20 for 1,024 points and 40 for 2,048.
        dropout: probability in the head; None is the head's own, 0.5 for "original" and none
            for "pointcmt".

    Raises:
        ValueError: `k` is not a whole number of 1 or more.
    """

    SMALL: ClassVar[Mapping[str, Any]] = {"k": 6}
    SIZES = (
        Size(1_687_976, 1.68),  # Table 1 of the PointCMT paper
        Size(1_809_576, 1.81, {"head": "original"}),
    )

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = 3,
        feature_dim: int = 512,
        width: float = 1.0,
        head: HeadName = "pointcmt",
        k: int = 20,
        dropout: float | None = None,
    ) -> None:
        require_neighbours(k)
        widths = [scaled(c, width) for c in WIDTHS]
        embedding = scaled(EMBEDDING, width)
        super().__init__(
            num_classes,
            channels=channels,
            min_points=k,
            pooled=2 * embedding,
            feature_dim=feature_dim,
            head=head,
            biases=(False, True),
            slope=SLOPE,
            dropout=dropout,
        )
        self.k = k
        self.edge_convs = nn.ModuleList(
            EdgeConv(c_in, c_out, slope=SLOPE) for c_in, c_out in pairwise((channels, *widths))
        )
        self.embedding = MLPLayer(sum(widths), embedding, slope=SLOPE)

    def embed(self, points: Tensor) -> Tensor:
        """Map (B, N, channels) to (B, 2048 * width): maximum and mean over the points."""
        x, space, levels = points, points[..., :3], []
        for conv in self.edge_convs:
            x = conv(x, knn(space, space, self.k))  # (B, N, C_l)
            space = x
            levels.append(x)
        x = self.embedding(torch.cat(levels, dim=2))  # (B, N, 1024)
        return torch.cat((x.amax(dim=1), x.mean(dim=1)), dim=1)
