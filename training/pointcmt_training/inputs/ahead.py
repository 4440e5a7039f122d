"""Pictures read by worker processes before a step asks for them."""

import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pointcmt.data import ViewSource
from pointcmt.errors import InputError
from pointcmt.processes import clean_context, follow_parent

FEW = 4000  # pictures that are decoded before a process has even started


class PictureReader:
    """Reads objects' pictures; those that it was told to expect, ahead of time by workers.

    Whatever is asked for out of turn, or is at hand decoded, is read in this process: the workers
    change how long a step waits and nothing else. They end with their work, and with this process.

    Args:
        source: the pictures.
        workers: processes; 0 reads everything in this one.
    """

    def __init__(self, source: ViewSource, workers: int) -> None:
        self.source, self.workers = source, workers
        self._order: deque[int] = deque()
        self._coming: Iterator[Tensor | InputError] = iter(())

    def expect(self, indices: Sequence[int], ahead: int) -> None:
        """Say what will be asked for next, in order; what was expected before is forgotten.

        Args:
            indices: the objects.
            ahead: how many of them the workers hold ready, in shared memory.
        """
        self._forget()
        if not self.workers or not self._worth_workers(set(indices)):
            return
        workers = min(self.workers, len(indices))
        loader = DataLoader(
            _Pictures(self.source),
            batch_size=None,
            sampler=indices,
            num_workers=workers,
            prefetch_factor=max(1, -(-ahead // workers)),
            multiprocessing_context=clean_context(__name__),
            worker_init_fn=_begin,
            generator=torch.Generator(),  # its own, so that training's numbers stay what they are
        )
        self._order, self._coming = deque(indices), _started(loader)

    def __call__(self, index: int) -> NDArray[np.uint8]:
        """Return the views of one object, (V, H, W, 3).

        Raises:
            InputError: a picture cannot be read, or a worker was killed.
        """
        if not self._order or self._order[0] != index:
            return self.source[index]
        self._order.popleft()
        try:
            pictures = next(self._coming)
        except RuntimeError as error:
            raise InputError(
                "a process that reads pictures was killed, perhaps for want of memory; run the "
                "same command again with fewer of them, views.workers=0 for none"
            ) from error
        if not self._order:
            self._forget()
        if isinstance(pictures, InputError):
            raise pictures
        return pictures.numpy()

    def _forget(self) -> None:
        """Let the workers end."""
        self._order, self._coming = deque(), iter(())

    def _worth_workers(self, indices: set[int]) -> bool:
        missing = sum(not self.source.decoded(index) for index in indices)
        return missing > 0 and missing * len(self.source[next(iter(indices))]) > FEW


def _started(loader: DataLoader[Tensor | InputError]) -> Iterator[Tensor | InputError]:
    """Start a loader's workers, without the handler of SIGCHLD that torch leaves behind.

    It would run for every child of this process from then on, on whatever signal stack another
    library has left, which crashed the process; a killed worker is noticed without it.
    """
    before = signal.getsignal(signal.SIGCHLD)
    iterator = iter(loader)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, before)
    return iterator


class _Pictures(Dataset[Tensor | InputError]):
    def __init__(self, source: ViewSource) -> None:
        self.source = source

    def __getitem__(self, index: int) -> Tensor | InputError:
        try:
            return torch.from_numpy(np.array(self.source[index]))
        except InputError as error:  # as a value: what a worker raises comes with its traceback
            return error


def _begin(_worker: int) -> None:
    follow_parent()
