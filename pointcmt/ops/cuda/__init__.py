"""The cuda backend: CUDA C++ compiled for the GPU at hand by NVRTC when an op is first used.

Indices equal those of the other backends. The matching is a bijection whose cost is proved to be at
most a thousandth above the optimum; `certified_matching` reports the proof.
"""

import torch

from pointcmt import kernels
from pointcmt.ops.cuda.farthest_point import farthest_point_sample
from pointcmt.ops.cuda.matching import Certified, certified_matching, emd_matching
from pointcmt.ops.cuda.neighbours import ball_query, knn

__all__ = [
    "Certified",
    "available",
    "ball_query",
    "certified_matching",
    "emd_matching",
    "farthest_point_sample",
    "knn",
]


def available() -> bool:
    """Whether this machine has a GPU that torch can use, and what compiles for it."""
    return torch.cuda.is_available() and kernels.available()
