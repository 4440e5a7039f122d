"""What every backend of an op asks of shapes and numbers, of numpy arrays and torch tensors alike.

Each function raises `ValueError` or `TypeError` in one sentence that names the argument.
"""

import math
import operator
from typing import Protocol, SupportsFloat, SupportsIndex

INDEX_LIMIT = 2**31 - 1


class Shaped(Protocol):
    """A numpy array or a torch tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        ...


def farthest_point_sample(xyz: Shaped, m: int) -> None:
    """Ask for xyz (B, N, 3) and 1 <= m <= N."""
    _cloud("xyz", xyz, 3)
    _count("m", m, xyz, "xyz")


def ball_query(xyz: Shaped, centers: Shaped, radius: float, k: int) -> None:
    """Ask for xyz (B, N, 3), centers (B, M, 3), radius >= 0, k >= 1 and N >= 1."""
    _cloud("xyz", xyz, 3)
    _cloud("centers", centers, 3)
    _same_batch("xyz", xyz, "centers", centers)
    radius = number("radius", radius)
    if math.isnan(radius) or radius < 0:
        raise ValueError(f"radius must be zero or more, not {radius}")
    _at_least_one("k", k)
    if xyz.shape[1] < 1:
        raise ValueError("xyz must hold at least one point a cloud, not 0")


def knn(query: Shaped, points: Shaped, k: int) -> None:
    """Ask for query (B, M, C), points (B, N, C) and 1 <= k <= N."""
    _cloud("query", query, None)
    _cloud("points", points, None)
    _same_batch("query", query, "points", points)
    if query.shape[2] != points.shape[2]:
        raise ValueError(
            f"query and points must have the same number of coordinates, "
            f"not {query.shape[2]} and {points.shape[2]}"
        )
    _count("k", k, points, "points")


def gathered_maximum(values: Shaped, index: Shaped) -> None:
    """Ask for values (R, C) and index (G, k), k >= 1."""
    if len(values.shape) != 2:
        raise ValueError(f"values must have the shape (R, C), not {_show(values)}")
    if len(index.shape) != 2 or index.shape[1] < 1:
        raise ValueError(f"index must have the shape (G, k) with k >= 1, not {_show(index)}")


def emd_matching(x: Shaped, y: Shaped) -> None:
    """Ask for x (B, N, 3) and y (B, N, 3)."""
    _cloud("x", x, 3)
    _cloud("y", y, 3)
    if tuple(x.shape) != tuple(y.shape):
        raise ValueError(f"x and y must have the same shape, not {_show(x)} and {_show(y)}")


def whole(name: str, value: SupportsIndex) -> int:
    """`value` as an int; a float is a `TypeError`."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}") from None


def number(name: str, value: SupportsFloat) -> float:
    """`value` as a float; what is not a number is a `TypeError`."""
    if isinstance(value, str) or not isinstance(value, SupportsFloat):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    return float(value)


def _cloud(name: str, array: Shaped, coordinates: int | None) -> None:
    wanted = f"(B, N, {coordinates or 'C'})"
    if len(array.shape) != 3 or (coordinates and array.shape[2] != coordinates):
        raise ValueError(f"{name} must have the shape {wanted}, not {_show(array)}")
    if array.shape[2] < 1:
        raise ValueError(f"{name} must have at least one coordinate, not 0")
    if array.shape[1] > INDEX_LIMIT:
        raise ValueError(f"{name} must hold at most {INDEX_LIMIT} points, not {array.shape[1]}")


def _same_batch(first: str, a: Shaped, second: str, b: Shaped) -> None:
    if a.shape[0] != b.shape[0]:
        raise ValueError(
            f"{first} and {second} must have the same batch size, not {a.shape[0]} and {b.shape[0]}"
        )


def _count(name: str, value: int, array: Shaped, of: str) -> None:
    _at_least_one(name, value)
    if value > array.shape[1]:
        raise ValueError(f"{name} must be at most the {array.shape[1]} points of {of}, not {value}")


def _at_least_one(name: str, value: int) -> None:
    if whole(name, value) < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def _show(array: Shaped) -> str:
    return "(" + ", ".join(str(size) for size in array.shape) + ")"
