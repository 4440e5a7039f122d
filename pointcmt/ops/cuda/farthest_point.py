"""Farthest point sampling on the GPU."""

from ctypes import c_int

import torch
from torch import Tensor

from pointcmt import op_arguments
from pointcmt.ops.cuda import driver, inputs
from pointcmt.ops.cuda.driver import Launch

_SCRATCH = 2 * 32 * 8  # bytes: two halves of one key a warp
_MOST_THREADS = 1024


def farthest_point_sample(xyz: Tensor, m: int) -> Tensor:
    """Choose m points, each the farthest from those chosen before; see `pointcmt.ops`.

    Args:
        xyz: (B, N, 3) points on a GPU.
        m: how many to choose, 1 <= m <= N.

    Returns:
        (B, m) int64 indices.

    Raises:
        ValueError, TypeError: as `pointcmt.ops.farthest_point_sample` does.
    """
    inputs.floating(xyz=xyz)
    op_arguments.farthest_point_sample(xyz, m)
    inputs.finite(xyz=xyz)
    xyz = inputs.dense(xyz)
    batch, points, _ = xyz.shape
    chosen = torch.empty(batch, m, dtype=torch.int64, device=xyz.device)
    if batch == 0:
        return chosen
    how = plan(batch, points)
    writes = [chosen]
    if dict(how.defines)["POINTS_PER_THREAD"] == 0:
        writes.append(torch.empty(batch, points, device=xyz.device))
    driver.launch(how, [xyz], writes, [c_int(points), c_int(m)])
    return chosen


def plan(batch: int, points: int) -> Launch:
    """One block a cloud; up to 8 points a thread in registers, beyond that in global memory."""
    held = next((held for held in (4, 8) if points <= held * _MOST_THREADS), 0)
    threads = inputs.whole_warps(-(-points // held)) if held else _MOST_THREADS
    defines = (("POINTS_PER_THREAD", held),)
    return Launch("farthest_point_sample", defines, batch, threads, _SCRATCH)
