"""The assignment problem solved by others: scipy, and all permutations."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

Cloud = NDArray[np.floating[Any]]


def table(x: Cloud, y: Cloud) -> NDArray[np.float64]:
    """Distances (N, N) in float64."""
    distances: NDArray[np.float64] = cdist(x.astype(np.float64), y.astype(np.float64))
    return distances


def cost(x: Cloud, y: Cloud, matching: NDArray[np.int64]) -> float:
    """The total distance of a matching of two clouds (N, 3)."""
    apart = x.astype(np.float64) - y.astype(np.float64)[matching]
    return float(np.linalg.norm(apart, axis=-1).sum())


def optimum(x: Cloud, y: Cloud) -> float:
    """The least total distance of two clouds (N, 3), by scipy."""
    distances = table(x, y)
    return float(distances[linear_sum_assignment(distances)].sum())


def optimum_of_all(x: Cloud, y: Cloud) -> float:
    """The least total distance, by trying every permutation."""
    everyone = range(len(x))
    return min(cost(x, y, np.array(p, np.int64)) for p in itertools.permutations(everyone))


def is_bijection(matching: NDArray[np.int64]) -> bool:
    return sorted(matching.tolist()) == list(range(len(matching)))
