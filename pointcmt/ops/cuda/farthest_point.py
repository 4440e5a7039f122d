"""Farthest point sampling on the GPU."""

import torch
from torch import Tensor

from pointcmt import op_arguments
from pointcmt.kernels import calls
from pointcmt.ops.cuda import inputs, launching


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
    if batch:
        launching.run(calls.farthest_point_sample(batch, points, m), [xyz], chosen)
    return chosen
