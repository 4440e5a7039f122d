"""PointMLP (Ma et al., ICLR 2022): residual MLPs on neighbourhoods, aligned by an affine map."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt.models.layers import MLPLayer, activate, flat_index, gather_points, scaled
from pointcmt.models.student import HeadName, PointStudent, Size, require_neighbours
from pointcmt.ops import farthest_point_sample, knn


class ResidualMLP(nn.Module):
    """Two layers and a shortcut: relu(x + layers(x)) on (..., C)."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        inner = int(channels * expansion)
        self.first = MLPLayer(channels, inner)
        self.second = MLPLayer(inner, channels, slope=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to (..., C)."""
        return activate(self.second(self.first(x)) + x, 0.0)


class GeometricAffine(nn.Module):
    """Differences to the centre, scaled to unit deviation in each cloud, then a learnt affine map.

    One standard deviation is taken over all differences of a cloud, as the authors' corrected
    release does. Their first release took it over the whole batch, so that a prediction depended
    on the other clouds in the batch.

    Attributes:
        alpha: (C,) the map's factor.
        beta: (C,) its shift.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def scale(self, features: Tensor, centres: Tensor, flat: Tensor) -> Tensor:
        """Return what differences are multiplied by, (B, C).

        The deviation follows from sums over the neighbours, so that no difference is written down.

        Args:
            features: (B, N, C).
            centres: (B, M, C), some of them.
            flat: (B * M * k,) the centres' neighbours, as rows of all clouds' features.
        """
        exact, own = features.flatten(0, 1).double(), centres.double()
        groups = flat.view(own.shape[0] * own.shape[1], -1)  # (B * M, k)
        k = groups.shape[1]
        sums = F.embedding_bag(groups, exact, mode="sum").view(own.shape)  # (B, M, C)
        squares = exact.square().sum(1).index_select(0, flat).view(len(own), -1).sum(1)  # (B,)
        squares = squares + (own * (k * own - 2 * sums)).flatten(1).sum(1)
        total = (sums - k * own).flatten(1).sum(1)  # (B,)
        count = k * own[0].numel()
        variance = (squares - total.square() / count) / (count - 1)
        deviation = variance.clamp_min(1e-24).sqrt() + 1e-5  # the root of 0 has no gradient
        return self.alpha / deviation.to(features.dtype).unsqueeze(1)


class Stage(nn.Module):
    """Halve the points: group k nearest neighbours, align, transfer, residual MLPs, maximum, again.

    Args:
        centres: M.
        k: neighbours.
        c_in: C.
        c_out: channels of the result.
        before: residual blocks before the maximum.
        after: residual blocks behind it.
        expansion: see `ResidualMLP`.
    """

    def __init__(
        self,
        centres: int,
        k: int,
        c_in: int,
        c_out: int,
        *,
        before: int,
        after: int,
        expansion: float,
    ) -> None:
        super().__init__()
        self.centres = centres
        self.k = k
        self.affine = GeometricAffine(c_in)
        self.transfer = MLPLayer(2 * c_in, c_out)
        self.before = nn.Sequential(*(ResidualMLP(c_out, expansion) for _ in range(before)))
        self.after = nn.Sequential(*(ResidualMLP(c_out, expansion) for _ in range(after)))

    def forward(self, xyz: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, N, 3) and (B, N, C) to (B, M, 3) and (B, M, C_out)."""
        chosen = farthest_point_sample(xyz, self.centres)  # (B, M)
        centre_xyz, centre = gather_points(xyz, chosen), gather_points(features, chosen)
        flat = flat_index(knn(centre_xyz, xyz, self.k), xyz.shape[1])  # (B * M * k,)
        exact = torch.promote_types(features.dtype, torch.float32)
        with torch.autocast(features.device.type, enabled=False):  # near features differ by little
            table, shared = self._split(features.to(exact), centre.to(exact), flat)
        near = table.flatten(0, 1).index_select(0, flat).view(*chosen.shape, self.k, -1)
        x = self.transfer.finish(near + shared.unsqueeze(2))  # (B, M, k, C_out)
        x = self.before(x).amax(dim=2)  # (B, M, C_out)
        return centre_xyz, self.after(x)

    def _split(self, features: Tensor, centre: Tensor, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Map aligned differences before points are grouped; see `GeometricAffine.scale`.

        Returns:
            (B, N, C_out) what each neighbour gives, (B, M, C_out) what its centre adds.
        """
        scale = self.affine.scale(features, centre, flat).unsqueeze(1)  # (B, 1, C)
        local, own = self.transfer.linear.weight.chunk(2, dim=1)  # (C_out, C) each
        shared = (self.affine.beta - centre * scale) @ local.t() + centre @ own.t()
        return (features * scale) @ local.t(), shared


class PointMLP(PointStudent):
    """PointMLP: an embedding and stages, published four, that halve points and double channels.

    The 12.6M parameters of the PointCMT paper's Table 1 are quoted from the PointMLP paper and fit
    the network without any head (12,570,560 here).

    Args:
        num_classes: C.
        channels: of a point, all embedded; neighbours are found by xyz alone.
        feature_dim: length of the global feature with the "pointcmt" head.
        width: multiplies the channels before the head.
        head: see `PointStudent`.
        centres: how many points each stage samples, one to four stages; the first is the fewest
            points of a cloud.
        k: neighbours.
        dropout: probability in the head; None is the head's own, 0.5 for "original" and none
            for "pointcmt".

    Raises:
        ValueError: there are more than four `centres`, or none, or `k` is not 1 or more.
    """

    SMALL: ClassVar[Mapping[str, Any]] = {"centres": (32, 12), "k": 6}
    SIZES = (Size(13_238_504, 13.24, {"head": "original"}),)
    EMBEDDING: ClassVar[int] = 64
    GROWTH: ClassVar[tuple[int, ...]] = (2, 2, 2, 2)
    BLOCKS: ClassVar[tuple[int, ...]] = (2, 2, 2, 2)
    EXPANSION: ClassVar[float] = 1.0

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = 3,
        feature_dim: int = 512,
        width: float = 1.0,
        head: HeadName = "pointcmt",
        centres: Sequence[int] = (512, 256, 128, 64),
        k: int = 24,
        dropout: float | None = None,
    ) -> None:
        if not 1 <= len(centres) <= len(self.GROWTH):
            raise ValueError(f"centres={centres}: must be one to four stages")
        require_neighbours(k)
        widths = [scaled(self.EMBEDDING, width)]
        for growth in self.GROWTH[: len(centres)]:
            widths.append(widths[-1] * growth)
        super().__init__(
            num_classes,
            channels=channels,
            min_points=max(centres[0], k),
            pooled=widths[-1],
            feature_dim=feature_dim,
            head=head,
            biases=(True, True),
            dropout=dropout,
        )
        self.embedding = MLPLayer(channels, widths[0])
        self.stages = nn.ModuleList(
            Stage(m, k, c_in, c_out, before=n, after=n, expansion=self.EXPANSION)
            for m, (c_in, c_out), n in zip(centres, pairwise(widths), self.BLOCKS, strict=False)
        )

    def embed(self, points: Tensor) -> Tensor:
        """Map (B, N, channels) to (B, 1024 * width)."""
        xyz, x = points[..., :3].contiguous(), self.embedding(points)
        for stage in self.stages:
            xyz, x = stage(xyz, x)  # (B, M, 3), (B, M, C)
        pooled: Tensor = x.amax(dim=1)
        return pooled


class PointMLPElite(PointMLP):
    """The light PointMLP: half the channels, bottleneck blocks and fewer of them.

    Its size is that of the published weights; the PointMLP paper says 0.68M.
    """

    SIZES = (Size(716_232, 0.72, {"head": "original"}),)

    EMBEDDING = 32
    GROWTH = (2, 2, 2, 1)
    BLOCKS = (1, 1, 2, 1)
    EXPANSION = 0.25
