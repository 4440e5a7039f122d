"""Which way is up: turning clouds to the vertical axis of the model, guessed where nobody says it.

A student that was trained upright is lost on a cloud that lies on its side. `auto` tries every
axis: the cloud is turned so that the axis points up, once plain and once half round, and the axis
with the greatest mean log-sum-exp of the logits counts. Files with y or z up are by far the most
common, so they have an advantage. `benchmarks/results/orientation.md` says how often it is right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointcmt.channels import ANY
from pointcmt.errors import InputError
from pointcmt.geometry import AXES, half_turn, turn

AUTO, AS_IS = "auto", "as-is"
CHOICES = (*AXES, AUTO, AS_IS)
COMMON = ("y", "z")
ADVANTAGE = 0.3  # of the common axes, in units of log-sum-exp

Logits = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Vertical:
    """How a cloud stood.

    Attributes:
        axis: its vertical axis; None if it was taken as it is.
        known: "stated" by the caller, "file" where its format settles it, "guessed", or "as-is".
    """

    axis: str | None
    known: str


def choose(choice: str, file: str | None, model: str | None) -> Vertical:
    """Return how a cloud stands, by what was asked for; axis "auto" is still to be guessed.

    Args:
        choice: one of `CHOICES`; with "auto", what the file says comes first.
        file: the vertical axis that the file's format settles, if any.
        model: the model's; None (not known) or "any" leave the cloud as it is.

    Raises:
        InputError: `choice` is unknown, or an axis although the model does not state its own.
    """
    if choice not in CHOICES:
        raise InputError(f"up is {choice!r}; use one of {', '.join(CHOICES)}")
    if choice in AXES and model is None:
        raise InputError(
            f"up is {choice!r}, but the model does not say which axis was up in its training; "
            f"turn the cloud yourself and use {AS_IS!r}"
        )
    if choice == AS_IS or model in (None, ANY):
        return Vertical(None, AS_IS)
    if choice in AXES:
        return Vertical(choice, "stated")
    return Vertical(AUTO, "guessed") if file is None else Vertical(file, "file")


def upright(
    clouds: NDArray[np.float32],
    verticals: Sequence[Vertical],
    model: str | None,
    channels: Sequence[str],
    logits: Logits,
) -> tuple[NDArray[np.float32], list[Vertical]]:
    """Turn clouds to the model's vertical axis; guess the axis "auto" with the model itself.

    Args:
        clouds: (B, N, C), prepared.
        verticals: how each of the B stands, see `choose`.
        model: the model's vertical axis.
        channels: the names of the C values.
        logits: from (B', N, C) to (B', K).

    Returns:
        The turned clouds (B, N, C), and how each stood.
    """
    turned, found = clouds.copy(), list(verticals)
    unknown = [i for i, vertical in enumerate(verticals) if vertical.axis == AUTO]
    if unknown and model is not None:
        axes = _guess(clouds[unknown], model, channels, logits)
        for i, axis in zip(unknown, axes, strict=True):
            found[i] = Vertical(axis, "guessed")
    for i, vertical in enumerate(found):
        if vertical.axis is not None and model is not None:
            turned[i] = turn(clouds[i], vertical.axis, model, channels)
    return turned, found


def _guess(
    clouds: NDArray[np.float32], model: str, channels: Sequence[str], logits: Logits
) -> list[str]:
    scores = np.empty((len(AXES), len(clouds)))
    for row, axis in enumerate(AXES):
        plain = turn(clouds, axis, model, channels)
        both = logits(np.concatenate([plain, half_turn(plain, model, channels)]))  # (2B, K)
        scores[row] = _log_sum_exp(both).reshape(2, -1).mean(axis=0)
        scores[row] += ADVANTAGE * (axis in COMMON)
    return [AXES[best] for best in scores.argmax(axis=0)]


def _log_sum_exp(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    scores = logits.astype(np.float64)  # (B, K)
    most = scores.max(axis=1)
    return np.asarray(most + np.log(np.exp(scores - most[:, None]).sum(axis=1)))
