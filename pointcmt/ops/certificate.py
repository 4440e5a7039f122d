"""A proof that a matching is optimal, or of how far it may be from it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pointcmt import op_arguments
from pointcmt.ops import native, reference, tensors

_ROWS = 1024  # rows of the distance matrix held at once


@dataclass(frozen=True)
class Certificate:
    """What a matching costs, and what every bijection costs at least.

    Attributes:
        cost: (B,) float64, the matching's total distance in the unit of the coordinates.
        bound: (B,) float64, no bijection costs less than this, up to rounding.
    """

    cost: Tensor
    bound: Tensor

    @property
    def gap(self) -> Tensor:
        """(B,) float64, how far the cost may exceed the optimum, relative to it."""
        excess = (self.cost - self.bound).clamp(min=0)
        return torch.where(excess == 0, 0.0, excess / self.bound)


def emd_certificate(x: Tensor, y: Tensor, matching: Tensor) -> Certificate:
    """Bound the optimum of the earth mover's problem from below (linear programming duality).

    For any prices p, `sum_i min_j(|x_i - y_j| + p_j) - sum_j p_j` is a lower bound on the cost of
    every bijection. The prices come from solving the problem on the CPU; that they prove the bound
    is evaluated here anew, from the coordinates, so nothing about the solver need be believed.

    Args:
        x: (B, N, 3) points on any device.
        y: (B, N, 3) points.
        matching: (B, N) int64, any bijection from x to y, from whatever backend.

    Returns:
        Cost and bound on the CPU; for the exact matching their gap is rounding, about 1e-15.

    Raises:
        ValueError: as `emd_matching`, or the matching is not a bijection.
        TypeError: x or y is not a floating-point tensor.
    """
    tensors.floating(x=x, y=y)
    op_arguments.emd_matching(x, y)
    x, y, matching = x.detach().cpu(), y.detach().cpu(), matching.cpu()
    order = torch.arange(x.shape[1]).expand(x.shape[:2])
    if matching.shape != order.shape or not torch.equal(matching.sort(1).values, order):
        raise ValueError("matching must be a bijection from x to y, (B, N) indices")
    backend = native if native.available() else reference
    _, prices = backend.emd_prices(x, y)
    x, y = x.double(), y.double()
    matched = y.gather(1, matching[..., None].expand(-1, -1, 3))
    cost = torch.linalg.vector_norm(x - matched, dim=-1).sum(1)
    return Certificate(cost, _bound(x, y, prices))


def _bound(x: Tensor, y: Tensor, prices: Tensor) -> Tensor:
    """The dual bound (B,) of prices (B, N), a few rows of the distance matrix at a time."""
    total = -prices.sum(1)
    for first in range(0, x.shape[1], _ROWS):
        distance = reference.distances(x[:, first : first + _ROWS], y)  # (B, rows, N)
        total = total + (distance + prices[:, None]).amin(2).sum(1)
    return total
