"""The earth mover's distance as a loss, Eq. 4 of the paper."""

from typing import Literal

import torch
from torch import Tensor

from pointcmt.ops.registered import emd_matching

Reduction = Literal["sum", "mean"]


def earth_movers_distance(x: Tensor, y: Tensor, reduction: Reduction = "sum") -> Tensor:
    """The least total distance over which x can be moved onto y (Eq. 4).

    The matching is a constant to autograd (the paper: the optimal bijection is invariant under
    infinitesimal movement), so gradients are unit vectors along the matched pairs, and zero where
    the two points of a pair coincide.

    Args:
        x: (B, N, 3) points, any floating dtype; half precision is computed in float32.
        y: (B, N, 3) points.
        reduction: "sum" over the N points as in Eq. 4, or "mean" over them.

    Returns:
        (B,) distances in the unit of the coordinates, >= 0; zero for empty clouds.

    Raises:
        ValueError: shapes differ or are not (B, N, 3), a number is not finite, the tensors lie on
            two devices, or the reduction is unknown.
        TypeError: an argument is not a floating-point tensor.
    """
    if reduction not in ("sum", "mean"):
        raise ValueError(f'reduction must be "sum" or "mean", not {reduction!r}')
    matching = emd_matching(x, y)  # (B, N)
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    matched = y.to(dtype).gather(1, matching[..., None].expand(-1, -1, 3))  # (B, N, 3)
    distance: Tensor = torch.linalg.vector_norm(x.to(dtype) - matched, dim=-1)  # (B, N)
    total = distance.sum(-1)
    return total if reduction == "sum" else total / max(x.shape[1], 1)
