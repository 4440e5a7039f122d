"""Sampling, neighbours and the earth mover's distance: one result on every device.

Coordinates may be any floating dtype and any layout. The sampling and neighbour ops compare squared
distances in float32; the matching is computed in float64. NaN, infinity, integers, wrong shapes and
tensors on two devices raise a `ValueError` or a `TypeError` that names the argument.

Without torch the package holds nothing but the command `python -m pointcmt.ops`, which says so.
"""

import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING or importlib.util.find_spec("torch"):
    from pointcmt.ops.certificate import Certificate, emd_certificate
    from pointcmt.ops.distance import earth_movers_distance
    from pointcmt.ops.registered import ball_query, emd_matching, farthest_point_sample, knn
else:

    def __getattr__(name: str) -> object:
        raise ModuleNotFoundError(f"pointcmt.ops.{name} needs torch", name="torch")


__all__ = [
    "Certificate",
    "ball_query",
    "earth_movers_distance",
    "emd_certificate",
    "emd_matching",
    "farthest_point_sample",
    "knn",
]
