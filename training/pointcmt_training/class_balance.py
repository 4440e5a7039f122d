"""Training on classes of very different sizes: weights of the loss, or a balanced order."""

import torch
from torch import Tensor


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return a weight for each class, inversely proportional to its size.

    The mean over the samples is 1, so that the loss keeps its size; a class without samples has
    weight 0. Weighted cross-entropy as of King and Zeng, Logistic Regression in Rare Events Data,
    2001.

    Args:
        labels: (n,) int64.
        classes: C.

    Returns:
        (C,) float32 on the device of `labels`.
    """
    counts = torch.bincount(labels, minlength=classes)  # (C,)
    present = counts > 0
    return torch.where(present, len(labels) / (counts.clamp(min=1) * present.sum()), 0.0)


def balanced_order(labels: Tensor) -> Tensor:
    """Draw an epoch of n samples in which all classes have the same share, to one sample.

    Every sample of a class comes as often as any other of it, to one time. The draw follows from
    torch's global generator.

    Args:
        labels: (n,) int64.

    Returns:
        (n,) int64, indices in a random order.
    """
    known = sorted(set(labels.tolist()))
    members = [torch.nonzero(labels.cpu() == label)[:, 0] for label in known]
    share, rest = divmod(len(labels), len(members))
    larger = set(torch.randperm(len(members))[:rest].tolist())
    drawn = [_repeated(one, share + (place in larger)) for place, one in enumerate(members)]
    order = torch.cat(drawn)
    return order[torch.randperm(len(order))]


def _repeated(members: Tensor, count: int) -> Tensor:
    rounds = -(-count // len(members))
    shuffled = [members[torch.randperm(len(members))] for _ in range(rounds)]
    return torch.cat([members[:0], *shuffled])[:count]
