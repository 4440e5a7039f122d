"""The processes of one training: each rank computes its share of the rows of every batch.

Where there is one process, which is everywhere but under torchrun, a share is the whole and every
sum is what it was given. Where there are more, the rows that they computed are joined, and each
computes the same loss of the whole batch. Backwards, a joined tensor sums its gradient over the
ranks, each of which sends the whole; DistributedDataParallel takes the mean over the ranks. So the
gradient of a parameter is that of one process, on whichever side of the joint it stands, whatever
the loss does with the batch, and however unequal the shares are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_SHARED: ContextVar[tuple[int, slice]] = ContextVar("shared", default=(0, slice(0, 0)))
_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


def world() -> int:
    """Return the number of processes that work together here."""
    together = dist.is_available() and dist.is_initialized() and not _ALONE.get()
    return dist.get_world_size() if together else 1


def rank() -> int:
    """Return which of them this is, from 0."""
    return dist.get_rank() if world() > 1 else 0


@contextmanager
def alone() -> Iterator[None]:
    """Let this rank do something by itself, such as what only the first one does."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def share(rows: int) -> slice:
    """Return which of so many rows are this rank's; shares differ by one row at most."""
    if world() == 1:
        return slice(0, rows)
    return slice(rank() * rows // world(), (rank() + 1) * rows // world())


def summed(values: Tensor) -> Tensor:
    """Return the sum over all ranks, apart from autograd."""
    values = values.detach().clone()
    if world() > 1:
        dist.all_reduce(values)
    return values


def summed_with_gradient(values: Tensor) -> Tensor:
    """Return the sum over all ranks; the gradient is summed over them, too."""
    if world() == 1:
        return values
    total: Tensor = _Summed.apply(values)  # type: ignore[no-untyped-call]
    return total


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return summed(values)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return summed(gradient)


def joined(mine: Tensor, rows: int) -> Tensor:
    """Join each rank's share (share, ...) of so many rows as (rows, ...), in their order."""
    if world() == 1:
        return mine
    own = share(rows)
    before = mine.new_zeros(own.start, *mine.shape[1:])
    behind = mine.new_zeros(rows - own.stop, *mine.shape[1:])
    return summed_with_gradient(torch.cat([before, mine, behind]))


def shared(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Apply a function of rows to the rows, each rank to its share of them.

    Args:
        function: (share, ...) each -> (share, ...), a row of the result from those of its inputs.
        inputs: (rows, ...) each, the same on every rank.

    Returns:
        (rows, ...), the same on every rank.
    """
    if world() == 1:
        return function(*inputs)
    rows = len(inputs[0])
    with as_share(rows, share(rows)):
        mine = function(*(whole[share(rows)] for whole in inputs))
    return joined(mine, rows)


@contextmanager
def as_share(rows: int, own: slice) -> Iterator[None]:
    """Say that what is computed here is a share of so many rows; `shared` does."""
    token = _SHARED.set((rows, own))
    try:
        yield
    finally:
        _SHARED.reset(token)


def sharing() -> tuple[int, slice]:
    """Return of how many rows a share is computed here, and which; 0 rows where none is."""
    return _SHARED.get()
