"""The index ops of an engine that contracts multiplications with additions, in numpy."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pointcmt.data import CloudDataset
from pointcmt.geometry import normalize
from pointcmt_export.convert.host_steps import HostStep
from pointcmt_export.verify import Clouds
from tests.reference.small_students import CLASSES, small_config

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Pick = Callable[..., Indices]
GRID = 12  # steps from the middle of a cloud to its side


def fused(a: Floats, b: Floats) -> Floats:
    """Squared distances (M, N) of (M, 3) to (N, 3) as fma(z, z, fma(y, y, x * x)).

    A product of two float32 numbers is exact in float64, and so is its sum with another nearly.
    """
    x, y, z = ((a[:, None, i] - b[None, :, i]).astype(np.float64) for i in range(3))
    return np.float32(z * z + np.float32(y * y + np.float32(x * x)))


def fused_sample(xyz: Floats, m: int) -> Indices:
    chosen, nearest = [0], np.full(len(xyz), np.inf, np.float32)
    while len(chosen) < m:
        nearest = np.minimum(nearest, fused(xyz[chosen[-1:]], xyz)[0])
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)


def fused_balls(xyz: Floats, centers: Floats, radius: float, k: int) -> Indices:
    squared = fused(centers, xyz)
    limit, rows = np.float32(radius) * np.float32(radius), []
    for row in squared:
        inside = np.flatnonzero(row < limit)[:k]
        inside = inside if len(inside) else np.array([row.argmin()])
        rows.append(np.append(inside, np.full(k - len(inside), inside[0])))
    return np.array(rows)


def fused_neighbours(query: Floats, points: Floats, k: int) -> Indices:
    return fused(query, points).argsort(axis=1, kind="stable")[:, :k]


FUSED: dict[str, Pick] = {
    "farthest_point_sample": fused_sample,
    "ball_query": fused_balls,
    "knn": fused_neighbours,
}


def choose(steps: Sequence[HostStep], clouds: Floats) -> dict[str, Indices]:
    """What an engine with fused arithmetic chooses, step by step."""
    sets, found = {"points": clouds[..., :3]}, {}
    for step in steps:
        arrays = {name: sets[place] for name, place in step.sets.items()}
        found[step.input] = np.stack(
            [
                FUSED[step.op](**{n: a[b] for n, a in arrays.items()}, **step.numbers)
                for b in range(len(clouds))
            ]
        )
        if step.op == "farthest_point_sample":
            rows = found[step.input][..., None]
            sets[step.input] = np.take_along_axis(arrays["xyz"], rows, axis=1)
    return found


def gridded(points: Floats, name: str) -> Clouds:
    """Clouds (12, N, 3) moved to a grid, then normalised as for training."""
    moved = np.round(points[:, :, :3].astype(np.float64) * GRID)
    moved = normalize(moved, "unit-sphere").astype(np.float32)
    ids = [str(i) for i in range(len(moved))]
    data = CloudDataset("gridded", CLASSES, moved, np.zeros(len(moved), int), ids)
    return Clouds(data, None, small_config(name))
