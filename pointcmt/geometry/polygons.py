"""Polygons of any shape to triangles."""

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

MAX_CONCAVE = 10_000  # corners; the time of ear clipping may grow with their square
ROUNDING = 1e-9  # of a polygon's area: a triangle that is negative by less is flat


def triangulate(
    vertices: NDArray[np.float64], counts: NDArray[np.int64], indices: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split polygons into triangles: a fan where that is right, ear clipping where it is not.

    Args:
        vertices: (V, 3).
        counts: (P,) corners of each polygon; those with fewer than three give no triangle.
        indices: (counts.sum(),) the vertices of one polygon after the other, in [0, V).

    Returns:
        The triangles (T, 3) as places in `indices`, and the polygon (T,) of each; polygons keep
        their order.

    Raises:
        InputError: a concave polygon has more than 10,000 corners.
    """
    starts = np.cumsum(counts) - counts
    parts, owners = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(counts[counts >= 3]):
        which = np.flatnonzero(counts == size)
        corners = np.arange(1, size - 1)
        fan = np.stack([np.zeros_like(corners), corners, corners + 1], axis=1)  # (size - 2, 3)
        local = np.broadcast_to(fan, (len(which), *fan.shape)).copy()
        if size > 3:
            _mend(local, vertices, indices, starts[which])
        parts.append((local + starts[which, None, None]).reshape(-1, 3))
        owners.append(np.repeat(which, size - 2))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(parts)[order], owner[order]


def _mend(
    local: NDArray[np.int64],
    vertices: NDArray[np.float64],
    indices: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> None:
    """Replace the fans (G, n - 2, 3) that leave their polygon, in place."""
    size = local.shape[1] + 2
    block = max(1, 1_000_000 // size)
    for first in range(0, len(local), block):
        own = starts[first : first + block]
        corners = vertices[indices[own[:, None] + np.arange(size)]]  # (g, n, 3)
        with np.errstate(over="ignore", invalid="ignore"):
            sides = corners[:, 1:] - corners[:, :1]  # (g, n - 1, 3)
            areas = np.cross(sides[:, :-1], sides[:, 1:])  # (g, n - 2, 3), of the fan
            normals = areas.sum(axis=1)  # (g, 3), twice the polygon's area
            along = np.einsum("gti,gi->gt", areas, normals)
            wrong = along.min(axis=1) < -ROUNDING * np.abs(along).max(axis=1)
        for row in np.flatnonzero(wrong):
            local[first + row] = _clip(corners[row], normals[row], local[first + row])


def _clip(
    corners: NDArray[np.float64], normal: NDArray[np.float64], fan: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the triangles (n - 2, 3) of one polygon (n, 3), turned as the polygon is."""
    from mapbox_earcut import triangulate_float64

    if len(corners) > MAX_CONCAVE:
        raise InputError(f"a concave face has {len(corners)} corners; at most {MAX_CONCAVE} may be")
    away = int(np.abs(normal).argmax())
    flat = np.ascontiguousarray(np.delete(corners - corners[0], away, axis=1))  # (n, 2)
    clipped = triangulate_float64(flat, np.array([len(flat)], np.uint32))
    clipped = clipped.reshape(-1, 3).astype(np.int64)
    a, b, c = corners[clipped].transpose(1, 0, 2)
    backwards = np.cross(b - a, c - a) @ normal < 0
    clipped[backwards] = clipped[backwards][:, ::-1]
    result = np.zeros_like(fan)  # what is missing (corners in a line) stays without an area
    result[: len(clipped)] = clipped[: len(fan)]
    return result
