"""Voting: the mean answer over several versions of a cloud."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointcmt.geometry import NORMALS, XYZ

MOST = 100  # votes
SCALE = (0.8, 1.25)  # of each axis; wider and narrower ranges were measured to help less


def ballot(clouds: NDArray[np.float32], vote: int, channels: Sequence[str]) -> NDArray[np.float32]:
    """Return the version of clouds (B, N, C) that a vote sees; vote 0 sees them as they are.

    Each other one sees the points in an order of its own, so that networks which sample start
    elsewhere, and every axis scaled by its own factor in [0.8, 1.25], as in the augmentation of
    the published training.
    """
    if vote == 0:
        return clouds
    rng = np.random.default_rng(vote)
    version = clouds[:, rng.permutation(clouds.shape[1])]
    factors = rng.uniform(*SCALE, 3).astype(np.float32)
    places = [list(channels).index(name) for name in XYZ]
    version[..., places] *= factors
    if set(NORMALS) <= set(channels):
        places = [list(channels).index(name) for name in NORMALS]
        scaled = version[..., places] / factors
        length = np.linalg.norm(scaled, axis=-1, keepdims=True)
        version[..., places] = np.divide(scaled, length, out=scaled, where=length > 0)
    return version


def mean_logits(votes: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return logits (B, K) whose softmax is the mean of the softmax of each vote's (B, K)."""
    if len(votes) == 1:
        return votes[0]
    scores = np.stack(votes).astype(np.float64)
    scores -= scores.max(axis=2, keepdims=True)
    chances = np.exp(scores)
    chances /= chances.sum(axis=2, keepdims=True)
    return np.asarray(np.log(np.maximum(chances.mean(axis=0), 1e-300)), np.float32)
