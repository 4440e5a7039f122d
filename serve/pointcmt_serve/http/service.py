"""What every way in shares: REST, gRPC and uploaded files all ask here."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from pointcmt_serve.http.batching import Client, Job, Schedule, Scheduler
from pointcmt_serve.http.budget import MemoryBudget
from pointcmt_serve.http.models import Host, Repository, Served
from pointcmt_serve.http.operations import Lifecycle, Metrics
from pointcmt_serve.http.settings import Settings
from pointcmt_serve.orientation import Vertical

MANY = 64  # clouds whose answer is written in a thread, so that it holds up nobody


class Service:
    """The models with what surrounds them.

    Attributes:
        settings: what the server was told.
        lifecycle: whether it is starting, serving or stopping.
        metrics: its figures.
        budget: the memory of all requests.
        in_flight: how many requests are being answered.
        models: what answers.
    """

    def __init__(self, settings: Settings, schedule: Schedule = Scheduler) -> None:
        """Make a service that loads nothing yet; `schedule` makes what answers each model."""
        self.settings = settings
        self.lifecycle = Lifecycle()
        self.metrics = Metrics()
        self.budget = MemoryBudget(settings.limits.memory)
        self.models = Repository(settings, Host(self.metrics.batch, schedule, settings.options))
        self.in_flight = 0
        self._ends: list[Callable[[], None]] = []

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.lifecycle.ready and self.models.ready

    def at_end(self, end: Callable[[], None]) -> None:
        """Let `end` be called when the server stops."""
        self._ends.append(end)

    async def close(self) -> None:
        """Answer what was accepted and end what was started."""
        self.lifecycle.stopping = True
        await self.models.close()
        for end in self._ends:
            end()

    def measure(self) -> None:
        """Bring the metrics of the moment up to date."""
        self.metrics.set_gauges(
            ready=self.ready,
            held=self.budget.held,
            in_flight=self.in_flight,
            waiting={(s.name, s.version): s.waiting for s in self.models.served()},
        )

    async def keep_measuring(self) -> None:
        """Do so every second, for the other worker processes that may be asked for them."""
        while True:
            self.measure()
            await asyncio.sleep(1)

    def seconds(self, *asked: float | None) -> float:
        """Return how long a request may take: what it asks for, `--deadline` at most."""
        given = (seconds for seconds in asked if seconds is not None)
        return min((*given, self.settings.limits.deadline))

    async def infer(
        self,
        served: Served,
        clouds: Sequence[Any],
        vertical: Vertical,
        client: Client,
        seconds: float,
        encode: Callable[[Job], Any],
    ) -> Any:
        """Answer one inference request and return what `encode` makes of it.

        Raises:
            InputError: a cloud cannot be classified.
            RefusedError: there is no room in the queue, or the deadline passed.
        """
        start = time.monotonic()
        with served.counting_failures():
            job = await served.run(clouds, vertical, client, seconds)
            between = time.monotonic()
            answer = encode(job) if len(clouds) < MANY else await asyncio.to_thread(encode, job)
        end = time.monotonic()
        served.statistics.answered(job, end - start, end - between)
        self.metrics.inference(served.name, len(clouds), job.waited, job.preparation, job.network)
        return answer
