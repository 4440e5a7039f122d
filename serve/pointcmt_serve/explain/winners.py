"""Who won: from the values of a network's maxima to the share of each point.

In the last maximum over the cloud every channel has one winner, as in PointNet's critical points
(Qi et al., CVPR 2017, section 4.3). A share of one is parted equally among the channels, except
those that the activation then clamps to zero. Where the winners are centres of groups, the share
of a centre goes in equal parts to the winners of its own group's channels, and so on down to the
points of the cloud.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt_serve.explain.maxima import POINTS, Maxima, Maximum

Told = Mapping[str, NDArray[Any]]
Shares = NDArray[np.float64]


def shares(maxima: Maxima, last: Maximum, told: Told, points: int) -> Shares:
    """Return the share (B, N) of each point in the last maximum; each row sums to one.

    Args:
        maxima: of the network.
        last: the one that decides.
        told: the tensors that `maxima` names.
        points: N.
    """
    share, at = _of_whole(last, told), last.rows
    while at != POINTS:
        source = maxima.samples[at]
        size = points if source == POINTS else told[source].shape[1]
        groups = [one for one in maxima.each if one.centres == at and one.rows == source]
        share, at = _handed_down(share, groups, told, told[at], size), source
    return share


def _of_whole(one: Maximum, told: Told) -> Shares:
    values = np.moveaxis(told[one.values], one.axis, 1)  # (B, n, C)
    winner = values.argmax(axis=1)  # (B, C)
    counts = _counting(told[one.kept].reshape(winner.shape))
    counts[~counts.any(axis=1)] = True  # all clamped: then all count
    share = counts / counts.sum(axis=1, keepdims=True)
    result = np.zeros(values.shape[:2])
    np.add.at(result, (np.arange(len(values))[:, None], winner), share)
    return result


def _handed_down(
    share: Shares, groups: list[Maximum], told: Told, centres: NDArray[np.int64], size: int
) -> Shares:
    """Hand the share (B, M) of each centre to the winners in its groups; (B, size).

    What no group's channel takes stays with the centre itself, which is a point as well.
    """
    batch, m = share.shape
    winners, counts = [centres[..., None]], [np.zeros((batch, m, 1), bool)]
    for one in groups:
        values = told[one.values].reshape(batch * m, -1, told[one.values].shape[-1])
        best = values.argmax(axis=1).reshape(batch, m, -1)  # (B, M, C)
        winners.append(np.take_along_axis(told[str(one.index)], best, axis=2))
        counts.append(_counting(told[one.kept].reshape(best.shape)))
    winner, count = np.concatenate(winners, axis=2), np.concatenate(counts, axis=2)
    count[..., 0] = ~count.any(axis=2)
    parts = share[..., None] * count / count.sum(axis=2, keepdims=True)  # (B, M, C')
    result = np.zeros((batch, size))
    np.add.at(result, (np.arange(batch)[:, None, None], winner), parts)
    return result


def _counting(kept: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(kept != 0)
