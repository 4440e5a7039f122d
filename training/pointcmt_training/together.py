"""A run in several processes, as torchrun starts them: how they meet, agree, and end together."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import click
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pointcmt import ranks
from pointcmt.errors import InputError
from pointcmt.models.global_batch import over_global_batch

T = TypeVar("T")
Outcome = list[T] | InputError  # a list of one: what was made

PATIENCE = timedelta(hours=2)  # one rank may render pictures while the others wait
STATUS = 1  # of a process whose run failed in another one
LOST = "a process of this run was ended; run the same command again to go on"


def meet(environment: Mapping[str, str] = os.environ) -> None:
    """Join the processes that torchrun has started, if it has: over gloo, and NCCL between GPUs.

    Raises:
        InputError: the environment is not one that torchrun makes, or the others cannot be reached.
    """
    if "WORLD_SIZE" not in environment or dist.is_initialized():
        return
    size, rank, local = (_number(environment, key) for key in ("WORLD_SIZE", "RANK", "LOCAL_RANK"))
    if size < 1 or not 0 <= rank < size:
        raise InputError(
            f"WORLD_SIZE={size}, RANK={rank}: torchrun starts at least one process, and numbers "
            "them from 0"
        )
    if size == 1:
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(backend, timeout=PATIENCE, rank=rank, world_size=size)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"rank {rank}: cannot meet the other processes ({reason})") from error
    signal.signal(signal.SIGTERM, lambda *_: _end(LOST))  # torchrun's, when another one died


def _number(environment: Mapping[str, str], key: str) -> int:
    try:
        return int(environment.get(key, 0))
    except ValueError:
        raise InputError(f"{key}={environment[key]}: must be a whole number") from None


def told(make: Callable[[], T]) -> T:
    """Let the first rank do something, writing for one, and tell all ranks what came of it.

    Raises:
        InputError: it failed there; each rank raises the same.
    """
    if ranks.world() == 1:
        return make()
    found: list[Outcome[T] | None] = [None]
    if ranks.rank() == 0:
        with ranks.alone():
            found = [_outcome(make)]
    dist.broadcast_object_list(found)
    return _value(cast("Outcome[T]", found[0]))


def agreed(make: Callable[[], T], identity: Callable[[T], Any]) -> T:
    """Let every rank make its own of something, which must be the same on all.

    Args:
        make: what each does.
        identity: what must be equal of it.

    Raises:
        InputError: a rank failed, or what it made differs from the first rank's.
    """
    made = _outcome(make)
    if ranks.world() == 1:
        return _value(made)
    found: list[Any] = [None] * ranks.world()
    own = made if isinstance(made, InputError) else [identity(made[0])]
    dist.all_gather_object(found, own)
    for rank, theirs in enumerate(found):
        _value(theirs)
        if theirs != found[0]:
            raise InputError(
                f"rank {rank} sees other data or another recipe than rank 0: give every machine "
                "the same files and the same command"
            )
    return _value(made)


def _outcome(make: Callable[[], T]) -> "Outcome[T]":
    try:
        return [make()]
    except InputError as error:
        return error


def _value(outcome: "Outcome[T]") -> T:
    if isinstance(outcome, InputError):
        raise outcome
    return outcome[0]


@contextmanager
def ending_together() -> Iterator[None]:
    """Let whatever ends a rank end all of them, and be said once, in one sentence."""
    if ranks.world() == 1:
        yield
        return
    try:
        yield
    except InputError as error:
        _end(str(error))
    except click.ClickException as error:
        _end(error.format_message())
    except (dist.DistBackendError, dist.DistNetworkError, RuntimeError) as error:
        if not _lost(error):
            raise
        _end(LOST)
    dist.destroy_process_group()


def _lost(error: Exception) -> bool:
    """Tell whether a collective failed because a process is gone, and not for a mistake here."""
    words = ("Connection closed", "Connection reset", "Broken pipe", "Socket", "NCCL", "Timed out")
    return any(word in str(error) for word in words)


def _end(sentence: str) -> None:
    """Say a sentence, unless another rank has, and end this process at once."""
    if _first_to_say(alone=sentence == LOST):
        print(f"Error: {sentence}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(STATUS)  # the collectives of a broken group cannot be taken apart in order


def _first_to_say(alone: bool) -> bool:
    store = dist.distributed_c10d._get_default_store()
    try:
        return bool(store.add("said", 1) == 1)
    except RuntimeError:  # the first rank kept the store, and has said what ended it, or was killed
        return alone


class _Step(nn.Module):
    """A step as the forward pass of what it trains, which DistributedDataParallel asks for."""

    def __init__(self, trained: nn.Module, step: Callable[..., dict[str, Tensor]]) -> None:
        super().__init__()
        self.trained, self.step = trained, step

    def forward(self, *arguments: Any) -> dict[str, Tensor]:
        """Return the losses of a batch."""
        return self.step(*arguments)


def in_parallel(
    trained: nn.Module, step: Callable[..., dict[str, Tensor]], sync_batch_norm: bool
) -> Callable[..., dict[str, Tensor]]:
    """Let a step's gradients be averaged over the ranks, if there are several.

    Args:
        trained: what the step trains; the first rank's weights are given to all.
        step: (indices (B,), epoch) -> losses of the whole batch, see `pointcmt.ranks`.
        sync_batch_norm: take batch norm over the batch of all ranks, not over each rank's share.
    """
    if ranks.world() == 1:
        return step
    over_global_batch(trained, sync_batch_norm)
    return DistributedDataParallel(_Step(trained, step), static_graph=True)
