"""Pieces that the students share: layers and shared MLPs over channels-last tensors (..., C)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MLPLayer(nn.Module):
    """Linear map, batch norm and activation of the last dimension: (..., C_in) -> (..., C_out).

    Args:
        c_in: input channels.
        c_out: output channels.
        bias: whether the linear map has one; the batch norm behind it makes it redundant, some
            published networks have it all the same.
        slope: the activation is max(x, slope * x): 0 is ReLU, 0.2 a leaky ReLU, 1 none.
    """

    def __init__(self, c_in: int, c_out: int, *, bias: bool = False, slope: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(c_in, c_out, bias=bias)
        self.norm = nn.BatchNorm1d(c_out)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to (..., C_in)."""
        return self.finish(self.linear(x))

    def finish(self, x: Tensor) -> Tensor:
        """Apply batch norm and activation to what the linear map gave, (..., C_out)."""
        normed: Tensor = self.norm(x.flatten(0, -2))
        return activate(normed.view(x.shape), self.slope)


class SharedMLP(nn.Module):
    """MLP layers applied to every point alike: (..., C_0) -> (..., C_last).

    Args:
        channels: C_0, C_1, ..., C_last.
        bias: see `MLPLayer`.
        slope: activation of all layers.
        last_slope: activation of the last layer; None is `slope`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        bias: bool = False,
        slope: float = 0.0,
        last_slope: float | None = None,
    ) -> None:
        slopes = [slope] * (len(channels) - 1)
        slopes[-1] = slope if last_slope is None else last_slope
        super().__init__()
        self.layers = nn.ModuleList(
            MLPLayer(c_in, c_out, bias=bias, slope=s)
            for (c_in, c_out), s in zip(pairwise(channels), slopes, strict=True)
        )

    def __iter__(self) -> Iterator[MLPLayer]:
        """Yield the layers in order."""
        return iter(cast(Sequence[MLPLayer], self.layers))

    def forward(self, x: Tensor) -> Tensor:
        """Apply all layers to (..., C_0)."""
        for layer in self:
            x = layer(x)
        return x


def activate(x: Tensor, slope: float) -> Tensor:
    """Return max(x, slope * x), for a slope in [0, 1]."""
    if slope == 1.0:
        return x
    return F.relu(x) if slope == 0.0 else F.leaky_relu(x, slope)


@torch.no_grad()
def track_moments(norm: nn.BatchNorm1d, mean: Tensor, var: Tensor, size: float) -> None:
    """Move the running statistics as `torch.nn.BatchNorm1d` does, to moments of `size` rows."""
    if not norm.track_running_stats:
        return
    count = norm.get_buffer("num_batches_tracked").add_(1)
    share = 1 / float(count) if norm.momentum is None else norm.momentum
    unbiased = var * (size / max(size - 1, 1))
    for name, value in (("running_mean", mean), ("running_var", unbiased)):
        buffer = norm.get_buffer(name)
        buffer.lerp_(value.to(buffer.dtype), share)


def gather_points(values: Tensor, index: Tensor) -> Tensor:
    """Pick rows of each cloud.

    Args:
        values: (B, N, C).
        index: (B, ...) int64 in [0, N).

    Returns:
        (B, ..., C).
    """
    flat = index.flatten(1)[..., None].expand(-1, -1, values.shape[2])  # (B, M, C)
    return values.gather(1, flat).view(*index.shape, values.shape[2])


def flat_index(index: Tensor, points: int) -> Tensor:
    """Turn indices (B, ...) into each cloud's `points` rows into indices into all clouds' rows."""
    start = points * torch.arange(index.shape[0], device=index.device)  # (B,)
    return (index.flatten(1) + start.unsqueeze(1)).flatten()


def scaled(channels: int, width: float) -> int:
    """Return a channel count times a width multiplier, rounded to a multiple of 8, at least 8."""
    return channels if width == 1.0 else max(8, 8 * round(channels * width / 8))
