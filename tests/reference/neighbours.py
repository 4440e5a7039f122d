"""Sampling and neighbours one point at a time, as their definitions read."""

import numpy as np
from numpy.typing import NDArray

Cloud = NDArray[np.float32]


def squared_distance(a: Cloud, b: Cloud) -> np.float32:
    """Summed coordinate by coordinate, every step rounded to float32."""
    total = np.float32(0)
    for p, q in zip(a, b, strict=True):
        difference = np.float32(p - q)
        total = np.float32(total + np.float32(difference * difference))
    return total


def farthest_point_sample(xyz: Cloud, m: int) -> list[int]:
    chosen = [0]
    while len(chosen) < m:
        gaps = [min(squared_distance(point, xyz[c]) for c in chosen) for point in xyz]
        chosen.append(gaps.index(max(gaps)))
    return chosen


def ball_query(xyz: Cloud, center: Cloud, radius: float, k: int) -> list[int]:
    distances = [squared_distance(center, point) for point in xyz]
    limit = np.float32(radius) * np.float32(radius)
    found = [i for i, d in enumerate(distances) if d < limit][:k]
    first = found[0] if found else distances.index(min(distances))
    return found + [first] * (k - len(found))


def knn(query: Cloud, points: Cloud, k: int) -> list[int]:
    distances = [squared_distance(query, point) for point in points]
    return sorted(range(len(points)), key=lambda i: (distances[i], i))[:k]
