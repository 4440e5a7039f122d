"""Strips of triangles, as PLY files of scans hold them."""

import numpy as np

from pointcmt.geometry.formats.ply_body import Ragged


def unrolled(strips: Ragged) -> Ragged:
    """Return the triangles of strips as faces of three corners.

    Each corner but the first two of a strip makes a triangle with the two before it, every second
    one turned round. -1 ends a strip within a list. Triangles that name a vertex twice only join
    strips, and are left out.
    """
    ends = np.cumsum(strips.counts)
    order = np.insert(strips.values.astype(np.int64), ends, -1)  # (N,), each strip with its end
    places = np.arange(len(order))
    starts = np.maximum.accumulate(np.where(order == -1, places + 1, 0))
    first = places[: max(len(order) - 2, 0)]
    first = first[(order[first] != -1) & (order[first + 1] != -1) & (order[first + 2] != -1)]
    odd = (first - starts[first]) % 2
    corners = order[np.stack([first, first + 1 + odd, first + 2 - odd], axis=1)]  # (F, 3)
    a, b, c = corners.T
    corners = corners[(a != b) & (b != c) & (c != a)]
    return Ragged(np.full(len(corners), 3, np.int64), corners.reshape(-1))
