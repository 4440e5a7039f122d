"""What a part segmenter is: a logit a part for every point, given the object's class."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from pointcmt.models.student import Network


@runtime_checkable
class Segmenter(Network, Protocol):
    """A network that tells the parts of objects: clouds (B, N, channels) to logits (B, N, P).

    The last `num_classes` channels of every point say which class the object is of: 1 for its own,
    0 for the others, as published networks take it. Which parts belong to a class is no matter of
    the network: whoever reads the logits looks at those of the class alone.

    Attributes:
        channels: of a point, with those of the class.
        parts: how many parts each class has; P is their sum.
    """

    channels: int
    parts: tuple[int, ...]


def with_category(points: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return points (B, N, C) with the channels of their class behind: (B, N, C + classes).

    Args:
        points: (B, N, C).
        labels: (B,) int64 classes.
        classes: how many there are.
    """
    told = F.one_hot(labels, classes).to(points.dtype)  # (B, classes)
    return torch.cat([points, told.unsqueeze(1).expand(-1, points.shape[1], -1)], dim=2)


def require_part_counts(parts: Sequence[int], classes: int) -> tuple[int, ...]:
    """Return `parts` if they are a count of at least one part for each class.

    Raises:
        ValueError: they are not.
    """
    counts = tuple(parts)
    if len(counts) != classes or not all(type(n) is int and n >= 1 for n in counts):
        raise ValueError(f"parts must be {classes} numbers of parts, one a class, got {parts!r}")
    return counts
