"""Folding a batch norm into the linear map before it, and the layers that come of it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pointcmt.models.layers import MLPLayer, activate


class Affine(NamedTuple):
    """A linear map with bias.

    Attributes:
        weight: (C_out, C_in) float64.
        bias: (C_out,) float64.
    """

    weight: Tensor
    bias: Tensor


def fold(linear: nn.Linear, norm: nn.BatchNorm1d | None = None) -> Affine:
    """Return the affine map that `norm(linear(x))` is in evaluation mode, in float64."""
    weight = linear.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.detach().double()
    if norm is None:
        return Affine(weight, bias)
    scale, shift = normalizer(norm)
    return Affine(weight * scale[:, None], bias * scale + shift)


def normalizer(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return scale and shift (C,) of a batch norm in evaluation mode, in float64."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    return scale, shift


class Dense(nn.Linear):
    """A folded layer: affine map and activation of rows (R, C_in) -> (R, C_out).

    Args:
        affine: the map.
        slope: the activation is max(x, slope * x); 1 is none.
    """

    def __init__(self, affine: Affine, slope: float = 0.0) -> None:
        super().__init__(affine.weight.shape[1], affine.weight.shape[0])
        self.weight = parameter(affine.weight)
        self.bias = parameter(affine.bias)
        self.slope = slope

    def forward(self, rows: Tensor) -> Tensor:
        """Apply the layer to rows, in the precision of its weights."""
        return activate(super().forward(rows.to(self.weight.dtype)), self.slope)


class PooledDense(nn.Module):
    """A folded layer followed by a maximum over groups of rows.

    Adding a bias and a monotone activation commute with the maximum, so both come after it, on
    `size` times fewer rows.

    Args:
        affine: the map.
        slope: see `Dense`.
    """

    def __init__(self, affine: Affine, slope: float = 0.0) -> None:
        super().__init__()
        self.weight = parameter(affine.weight.t())  # (C_in, C_out)
        self.bias = parameter(affine.bias)
        self.slope = slope

    def forward(self, groups: Tensor) -> Tensor:
        """Map groups of rows (R, size, C_in) to their maxima (R, C_out)."""
        x = groups.flatten(0, 1).to(self.weight.dtype) @ self.weight  # (R * size, C_out)
        pooled = x.view(*groups.shape[:2], -1).amax(dim=1)  # (R, C_out)
        return activate(pooled + self.bias, self.slope)


def dense(layer: MLPLayer) -> Dense:
    """Fold a layer of a shared MLP."""
    return Dense(fold(layer.linear, layer.norm), layer.slope)


def pooled_dense(layer: MLPLayer) -> PooledDense:
    """Fold a layer of a shared MLP whose output is reduced by a maximum."""
    return PooledDense(fold(layer.linear, layer.norm), layer.slope)


def parameter(value: Tensor) -> nn.Parameter:
    """Store a folded value as a float32 weight that needs no gradient."""
    return nn.Parameter(value.to(torch.float32).contiguous(), requires_grad=False)
