"""The threads that take clouds from a queue, prepare them and run the network."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.http.batching.job import Client, Job
from pointcmt_serve.http.batching.queue import FairQueue, Item
from pointcmt_serve.http.errors import late
from pointcmt_serve.http.settings import Batching
from pointcmt_serve.orientation import Vertical
from pointcmt_serve.prediction import Prediction

_log = logging.getLogger(__name__)


class Network(Protocol):
    """What a scheduler needs of a `Classifier`."""

    def prepare(self, points: Any, name: str) -> NDArray[np.float32]:
        """Bring a cloud to what the network wants."""

    def predict(
        self, clouds: NDArray[np.float32], verticals: Sequence[Vertical] | None = None
    ) -> list[Prediction]:
        """Classify a batch of prepared clouds that stand so."""


class Observer(Protocol):
    """Who is told of what a scheduler does; called in its threads."""

    def batch(self, clouds: int, preparation: float, network: float) -> None:
        """`clouds` clouds went through the network; the times are in seconds."""


class Scheduling(Protocol):
    """What answers the requests of one served version: a `Scheduler`, or another's batching."""

    @property
    def waiting(self) -> int:
        """How many clouds wait."""

    async def run(
        self, clouds: Sequence[Any], vertical: Vertical, client: Client, seconds: float
    ) -> Job:
        """Answer one request; see `Scheduler.run`."""

    def close(self) -> None:
        """Answer what waits, then end."""


Schedule = Callable[[Network, Batching, int, Observer], Scheduling]


class Scheduler:
    """Answers jobs. A worker prepares the next batch while another is in the network."""

    def __init__(
        self, network: Network, batching: Batching, threads: int, observer: Observer
    ) -> None:
        """Start `threads` workers."""
        self._network = network
        self._batching = batching
        self._observer = observer
        self._queue = FairQueue(batching.queue)
        self._lock = threading.Lock()  # two workers may have clouds of one job
        self._threads = [
            threading.Thread(target=self._work, name=f"pointcmt-worker-{i}", daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many clouds wait."""
        return len(self._queue)

    async def run(
        self, clouds: Sequence[Any], vertical: Vertical, client: Client, seconds: float
    ) -> Job:
        """Answer one request and return its job, complete with predictions.

        When the caller is cancelled, the clouds that no worker has taken are forgotten.

        Raises:
            InputError: a cloud cannot be classified.
            RefusedError: there is no room in the queue, or the deadline passed.
        """
        loop = asyncio.get_running_loop()
        job = Job(clouds, client, vertical, loop.create_future())
        if not job.missing:
            return job
        self._queue.put(job)
        timer = loop.call_later(seconds, lambda: job.fail(late(seconds)))
        try:
            await job.done
        finally:
            timer.cancel()
            self._queue.drop(job)
        return job

    def close(self) -> None:
        """Answer what waits, then end the workers."""
        self._queue.close()
        for thread in self._threads:
            thread.join()
        # Who is told holds its scheduler: the ring would keep both, and the network, in memory.
        vars(self).pop("_observer", None)

    def _work(self) -> None:
        while items := self._queue.take(self._batching.size, self._batching.delay):
            try:
                self._answer(items)
            except Exception as error:  # whatever it is, the worker goes on
                _log.exception("a batch failed")
                for job in {item[0] for item in items}:
                    _later(job, job.fail, error)
            del items  # a worker that waits keeps nothing

    def _answer(self, items: list[Item]) -> None:
        start = time.monotonic()
        prepared = [
            (job, index, cloud)
            for job, index in items
            if (cloud := self._prepare(job, index)) is not None
        ]
        between = time.monotonic()
        finished = self._predict(prepared) if prepared else []
        end = time.monotonic()
        for job in {job for job, _ in items}:
            job.preparation += between - start
            job.network += end - between
        if prepared:
            self._observer.batch(len(prepared), between - start, end - between)
        for job in finished:
            _later(job, job.resolve)

    def _prepare(self, job: Job, index: int) -> NDArray[np.float32] | None:
        if job.dropped:
            return None
        if index == 0:
            job.waited = time.monotonic() - job.queued
        try:
            return self._network.prepare(job.clouds[index], f"cloud {index}")  # (points, C)
        except InputError as error:
            self._queue.drop(job)
            _later(job, job.fail, error)
            return None

    def _predict(self, prepared: list[tuple[Job, int, NDArray[np.float32]]]) -> list[Job]:
        try:
            clouds = np.stack([cloud for _, _, cloud in prepared])  # (B, points, C)
            predictions = self._network.predict(clouds, [job.vertical for job, _, _ in prepared])
        except InputError as error:
            if len(prepared) == 1:
                _later(prepared[0][0], prepared[0][0].fail, error)
                return []
            # One cloud spoils the batch of its neighbours: each is tried alone.
            return [job for one in prepared for job in self._predict([one])]
        finished = []
        for (job, index, _), prediction in zip(prepared, predictions, strict=True):
            with self._lock:
                job.predictions[index] = prediction
                job.missing -= 1
                if not job.missing:
                    finished.append(job)
        return finished


def _later(job: Job, call: Any, *arguments: Any) -> None:
    try:
        job.done.get_loop().call_soon_threadsafe(call, *arguments)
    except RuntimeError:  # the loop is closed: nobody waits any more
        _log.debug("an answer came after its event loop had ended")
