"""Telling whether two clouds hold the same points, whatever their order and repetition."""

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.readers.rendered import picture_name
from pointcmt.data.record import Stored

FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64


def cloud_hash(points: NDArray[np.float32]) -> int:
    """Return a 64-bit hash of a cloud's set of points.

    Neither the order of the points counts nor how often one occurs, since some mesh formats repeat
    a vertex for each of its faces. A point's hash mixes the bits of its coordinates (0 and -0 are
    one); a cloud's is the sum over its different points. Two different clouds share a hash by
    chance about once in 2^64 pairs.

    Args:
        points: (N, C); only x, y and z count.
    """
    bits = np.ascontiguousarray(points[:, :3] + np.float32(0)).view(np.uint32)  # (N, 3)
    state = np.zeros(len(bits), dtype=np.uint64)
    for axis in range(3):
        state = _mix(state * np.uint64(3) + bits[:, axis] + np.uint64(axis + 1))
    return int(np.unique(state).sum(dtype=np.uint64))


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = (value ^ (value >> np.uint64(30))) * FIRST
    value = (value ^ (value >> np.uint64(27))) * SECOND
    return value ^ (value >> np.uint64(31))


def one_picture_name(stored: Stored) -> list[str]:
    """Return, for each object whose pictures would have the name of an earlier one's, both ids."""
    split = stored.name.rpartition("/")[2]
    first: dict[tuple[int, str], str] = {}
    found = []
    for one in stored.objects:
        name = picture_name(one.id, stored.classes[one.label], split)
        earlier = first.setdefault((one.label, name), one.id)
        if earlier != one.id:
            found.append(f"{one.id} as {earlier}; rename one")
    return found
