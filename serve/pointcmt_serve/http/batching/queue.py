"""A bounded queue of clouds that gives every client its turn."""

import threading
import time
from collections import deque

from pointcmt_serve.http.batching.job import Job
from pointcmt_serve.http.errors import busy, too_large

Item = tuple[Job, int]  # a job, and which of its clouds


class _Turns:
    """The jobs of one account, a connection after the other; each turn gives one cloud."""

    def __init__(self) -> None:
        self._connections: dict[str, deque[Job]] = {}

    def add(self, job: Job) -> None:
        """Queue a job behind those of its connection."""
        self._connections.setdefault(job.client.connection, deque()).append(job)

    def remove(self, job: Job) -> None:
        """Forget a job."""
        jobs = self._connections.get(job.client.connection, deque())
        if job in jobs:
            jobs.remove(job)

    def take(self) -> Item | None:
        """Return the next cloud, or None when none is left."""
        while self._connections:
            connection, jobs = next(iter(self._connections.items()))
            del self._connections[connection]  # and to the end, if it has more
            while jobs and not jobs[0].waiting:
                jobs.popleft()
            if jobs:
                self._connections[connection] = jobs
                job = jobs[0]
                job.taken += 1
                return job, job.taken - 1
        return None


class FairQueue:
    """The clouds that wait for one model.

    Accounts take turns, and within an account its connections; a turn is one cloud, so that a
    request of a thousand clouds holds up nobody else's single one.
    """

    def __init__(self, size: int) -> None:
        """Make a queue in which at most `size` clouds may wait."""
        self._size = size
        self._accounts: dict[str, _Turns] = {}
        self._waiting = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._waiting

    def put(self, job: Job) -> None:
        """Queue all clouds of `job`.

        Raises:
            RefusedError: 503, there is no room for so many now, or the model is being unloaded;
                413, there never is.
        """
        with self._changed:
            if self._closed:
                raise busy("the model is being unloaded; try again", "unloading")
            if job.waiting > self._size:
                raise too_large(f"{job.waiting} clouds, but only {self._size} may wait; send fewer")
            if self._waiting + job.waiting > self._size:
                raise busy(
                    f"{self._waiting} clouds wait already, of {self._size} that may; "
                    "try again later",
                    "queue_full",
                )
            self._waiting += job.waiting
            self._accounts.setdefault(job.client.account, _Turns()).add(job)
            self._changed.notify(job.waiting)

    def drop(self, job: Job) -> None:
        """Forget the clouds of `job` that no worker has taken."""
        with self._changed:
            self._waiting -= job.waiting
            job.dropped = True
            if turns := self._accounts.get(job.client.account):
                turns.remove(job)

    def take(self, count: int, delay: float) -> list[Item]:
        """Wait for clouds and return up to `count`; none once the queue is closed and empty.

        Args:
            count: clouds of a batch, at most.
            delay: seconds to wait for more when there are fewer.
        """
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            items = self._next(count)
            end = time.monotonic() + delay
            while items and len(items) < count and not self._closed:
                rest = end - time.monotonic()
                if rest <= 0 or not self._changed.wait(rest):
                    break
                items += self._next(count - len(items))
            return items

    def close(self) -> None:
        """Refuse further jobs; those that wait are still given out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self, count: int) -> list[Item]:
        items: list[Item] = []
        while len(items) < count and self._accounts:
            account, turns = next(iter(self._accounts.items()))
            del self._accounts[account]
            item = turns.take()
            if item is not None:
                self._accounts[account] = turns
                self._waiting -= 1
                items.append(item)
        return items
