"""The earth mover's matching on the GPU, with a proof of how near to the optimum it is."""

from ctypes import c_float, c_int, c_longlong
from dataclasses import dataclass

import torch
from torch import Tensor

from pointcmt import op_arguments
from pointcmt.kernels.calls import Launch, Scalar, whole_warps
from pointcmt.ops.cuda import inputs, launching

TOLERANCE = 1e-3
MOST_POINTS = 2**20  # a bid's key has 20 bits for its bidder
_BOARD = 32 * 8 + 2 * 8 + 2 * 8  # bytes of shared memory beside the arrays
_LISTED = 32  # candidates a person
_MOST_THREADS = 512


@dataclass(frozen=True)
class Certified:
    """A matching and what the auction's prices prove of it, all on the GPU.

    Attributes:
        matching: (B, N) int64, a bijection: x[b, i] goes to y[b, matching[b, i]].
        cost: (B,) float64, the matching's total distance in the unit of the coordinates.
        bound: (B,) float64, no bijection costs less than this.
        work: (B, 4) int64: phases of eps, rounds, bids, passes of a warp over all y.
    """

    matching: Tensor
    cost: Tensor
    bound: Tensor
    work: Tensor

    @property
    def gap(self) -> Tensor:
        """(B,) float64, how far the cost may exceed the optimum, relative to it; 0 if both are 0.

        At most the tolerance asked for, unless matched points lie closer to each other than about
        1e-8 of the clouds' extent.
        """
        excess = (self.cost - self.bound).clamp(min=0)
        return torch.where(excess == 0, 0.0, excess / self.bound)


def emd_matching(x: Tensor, y: Tensor) -> Tensor:
    """Find a bijection within a thousandth of the least total distance; see `pointcmt.ops`.

    Args:
        x: (B, N, 3) points on a GPU.
        y: (B, N, 3) points.

    Returns:
        (B, N) int64 indices: x[b, i] goes to y[b, match[b, i]].

    Raises:
        ValueError, TypeError: as `pointcmt.ops.emd_matching` does.
    """
    return certified_matching(x, y).matching


def certified_matching(x: Tensor, y: Tensor, tolerance: float = TOLERANCE) -> Certified:
    """Find a bijection of proved quality, without waiting for the GPU once the input is checked.

    float64 clouds are matched in float64, all others in float32. The result depends on nothing but
    the input: not on the schedule of threads, nor on the other pairs of the batch.

    Args:
        x: (B, N, 3) points on a GPU.
        y: (B, N, 3) points.
        tolerance: the relative gap to stop at, 0 or more; 0 goes on until the gap is the rounding
            of the distances.

    Returns:
        The matching and its proof.

    Raises:
        ValueError: the shapes differ or are not (B, N, 3), N exceeds 2**20, a tensor is not finite,
            the tensors lie on two devices, or the tolerance is negative.
        TypeError: a tensor is not floating-point.
    """
    inputs.floating(x=x, y=y)
    op_arguments.emd_matching(x, y)
    batch, points, _ = x.shape
    if points > MOST_POINTS:
        raise ValueError(f"x must hold at most {MOST_POINTS} points a cloud, not {points}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be zero or more, not {tolerance}")
    inputs.finite(x=x, y=y)
    wide = torch.float64 in (x.dtype, y.dtype)
    dtype = torch.float64 if wide else torch.float32
    x, y = inputs.dense(x, dtype), inputs.dense(y, dtype)
    matching = torch.empty(batch, points, dtype=torch.int64, device=x.device)
    proof = torch.zeros(batch, 2, dtype=torch.float64, device=x.device)  # cost, bound
    work = torch.zeros(batch, 4, dtype=torch.int64, device=x.device)
    if batch and points:
        how, size = plan(batch, points, wide, launching.shared_limit(x.device))
        workspace = torch.empty(batch, size, dtype=torch.uint8, device=x.device)
        scalars: list[Scalar] = [c_longlong(size), c_int(points), c_float(tolerance)]
        launching.launch(how, [x, y], [matching, proof, work, workspace], scalars)
    return Certified(matching, proof[:, 0], proof[:, 1], work)


def plan(batch: int, points: int, wide: bool, shared_limit: int) -> tuple[Launch, int]:
    """One block a pair, with the arrays that rounds touch most in shared memory if they fit.

    Args:
        batch: the number of pairs.
        points: of a cloud.
        wide: whether coordinates are float64.
        shared_limit: bytes of shared memory a block may ask for.

    Returns:
        The launch, and the bytes of workspace a pair.
    """
    real = 8 if wide else 4
    hot = _bytes(points, 8, 8, 3 * real)  # price, slot, y
    warm = _bytes(points, 8, 4, 4, 4, 8)  # rise, object, owner, assigned, queue
    cold = _bytes(points, 8, 8, 8, 4 * _LISTED, real * _LISTED, 3 * real)
    tiers = sum(_BOARD + size <= shared_limit for size in (hot, hot + warm))
    shared = [0, hot, hot + warm][tiers]
    defines = (("COORDINATE", "double" if wide else "float"), ("SHARED_TIERS", tiers))
    threads = min(whole_warps(points), _MOST_THREADS)
    workspace = hot + warm + cold - shared
    return Launch("emd", defines, batch, threads, _BOARD + shared), workspace


def _bytes(points: int, *element: int) -> int:
    """The size of one array for each number of bytes a point, each padded to 8 bytes."""
    return sum(-(-points * size // 8) * 8 for size in element)
