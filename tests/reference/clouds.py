"""Clouds that are easy, hard, tied or degenerate, by name, from a seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Cloud = NDArray[np.float64]


def uniform(random: Generator, n: int) -> Cloud:
    return random.random((n, 3))


def lattice(random: Generator, n: int) -> Cloud:
    """Few distinct coordinates: many equal distances and many repeated points."""
    return random.integers(0, random.integers(2, 5), (n, 3)).astype(np.float64)


def collapsed(random: Generator, n: int) -> Cloud:
    return np.repeat(random.standard_normal((1, 3)), n, 0)


def collinear(random: Generator, n: int) -> Cloud:
    return random.standard_normal((n, 1)) * random.standard_normal((1, 3))


def clustered(random: Generator, n: int) -> Cloud:
    """Four clusters whose width is anything from a tenth to rounding."""
    centers = random.standard_normal((4, 3))
    width = 10.0 ** random.integers(-9, 0)
    return centers[random.integers(0, 4, n)] + width * random.standard_normal((n, 3))


def repeated(random: Generator, n: int) -> Cloud:
    """Half of the points are one point, as in clouds padded to a size."""
    points = random.random((n, 3))
    points[random.random(n) < 0.5] = points[:1]
    return points


def outlier(random: Generator, n: int) -> Cloud:
    points = random.random((n, 3))
    points[:1] = 1e3
    return points


KINDS: dict[str, Callable[[Generator, int], Cloud]] = {
    kind.__name__: kind
    for kind in (uniform, lattice, collapsed, collinear, clustered, repeated, outlier)
}


def batch(kind: str, seed: int, *shape: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Clouds of a kind, (B, N, 3)."""
    clouds, n = shape
    random = np.random.default_rng(seed)
    made = [KINDS[kind](random, n) for _ in range(clouds)]
    return np.stack(made).astype(dtype) if made else np.empty((0, n, 3), dtype)


def pair(random: Generator, n: int) -> tuple[Cloud, Cloud]:
    """Two clouds of any kinds, or a cloud and itself moved a little, at any scale and place."""
    kinds = list(KINDS.values())
    x = kinds[random.integers(len(kinds))](random, n)
    if random.random() < 0.3:
        y = x[random.permutation(n)] + 10.0 ** random.integers(-9, 0) * uniform(random, n)
    else:
        y = kinds[random.integers(len(kinds))](random, n)
    scale = 10.0 ** random.integers(-6, 7)
    place = random.choice([0.0, 1.0, 1e3]) * random.standard_normal(3)
    return scale * (x + place), scale * (y + place)
