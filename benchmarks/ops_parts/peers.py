"""Other libraries' answers to the same questions; one that is not installed is left out."""

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor

Array = NDArray[np.generic]
Matching = Callable[[Tensor, Tensor], Array]
Sampling = Callable[[Tensor, int], Array]


def matchings(threads: int) -> dict[str, Matching]:
    """Exact solvers of the assignment; each makes its cost matrix in float64 first."""
    found: dict[str, Matching] = {"scipy": partial(_pooled, _scipy, threads)}
    if installed("ot"):
        found["POT"] = partial(_pooled, _pot, threads)
    if installed("lap"):
        found["lapx"] = partial(_lapx, threads)
    return found


def samplings(threads: int) -> dict[str, Sampling]:
    """Farthest point sampling of each cloud of a batch, from point 0."""
    found: dict[str, Sampling] = {}
    if installed("fpsample"):
        for name in ("fps_sampling", "fps_npdu_kdtree_sampling", "bucket_fps_kdline_sampling"):
            found[f"fpsample.{name}"] = partial(_fpsample, name, threads)
    if installed("torch_cluster"):
        found["torch_cluster.fps"] = _torch_cluster
    return found


def installed(name: str) -> bool:
    """Import a library, so that no call is charged for it; false where there is none."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _pooled(solve: Callable[[Array, Array], Array], threads: int, x: Tensor, y: Tensor) -> Array:
    """Solve the pairs of a batch on as many threads as may run at once."""
    with ThreadPoolExecutor(threads) as pool:
        return np.stack(list(pool.map(solve, x.numpy(), y.numpy())))


def _scipy(x: Array, y: Array) -> Array:
    return np.asarray(linear_sum_assignment(cdist(x, y))[1])


def _pot(x: Array, y: Array) -> Array:
    import ot

    plan = ot.emd([], [], cdist(x, y), numItermax=10**8)
    return np.asarray(plan.argmax(1))


def _lapx(threads: int, x: Tensor, y: Tensor) -> Array:
    import lap

    costs = np.stack([cdist(a, b) for a, b in zip(x.numpy(), y.numpy(), strict=True)])
    _, columns = lap.lapjvs_batch(costs, return_cost=False, n_threads=threads, prefer_float32=False)
    return np.stack(columns)


def _fpsample(name: str, threads: int, xyz: Tensor, m: int) -> Array:
    import fpsample

    options = {"h": 3} if name.startswith("bucket") else {}
    sample = partial(getattr(fpsample, name), n_samples=m, start_idx=0, **options)
    with ThreadPoolExecutor(threads) as pool:
        return np.stack(list(pool.map(sample, xyz.numpy())))


def _torch_cluster(xyz: Tensor, m: int) -> Array:
    import torch_cluster

    batch, points, _ = xyz.shape
    of_cloud = torch.arange(batch).repeat_interleave(points)
    flat = torch_cluster.fps(xyz.reshape(-1, 3), of_cloud, m / points, random_start=False)
    return np.asarray(flat.view(batch, m) % points)
