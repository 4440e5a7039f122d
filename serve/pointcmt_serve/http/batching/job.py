"""One request, as the queue and the workers see it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pointcmt_serve.orientation import Vertical
from pointcmt_serve.prediction import Prediction


class Client(NamedTuple):
    """Who asks: fairness is between accounts first, then between an account's connections.

    Attributes:
        account: the API key's digest, or the address.
        connection: the address and port.
    """

    account: str
    connection: str


@dataclass(eq=False)
class Job:
    """The clouds of one request.

    Attributes:
        clouds: what the client sent, one array (N, C) or `Cloud` each.
        client: who asks.
        vertical: how all its clouds stand.
        done: set to the predictions, in order, or to the error; on its own event loop.
        taken: how many clouds the workers have been given.
        missing: how many clouds are not answered yet.
        dropped: nobody waits for the answer any more.
        queued: when the job was put into the queue.
        waited: seconds until a worker took its first cloud.
        preparation: seconds spent on preparing its clouds.
        network: seconds of the batches its clouds were in.
    """

    clouds: Sequence[Any]
    client: Client
    vertical: Vertical
    done: "asyncio.Future[list[Prediction]]"
    taken: int = 0
    missing: int = 0
    dropped: bool = False
    queued: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    preparation: float = 0.0
    network: float = 0.0
    predictions: list[Prediction | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.missing = len(self.clouds)
        self.predictions = [None] * len(self.clouds)

    @property
    def waiting(self) -> int:
        """How many of its clouds no worker has taken."""
        return 0 if self.dropped else len(self.clouds) - self.taken

    def resolve(self) -> None:
        """Give the predictions to whoever waits. Called on the event loop."""
        if not self.done.done():
            self.done.set_result([p for p in self.predictions if p is not None])

    def fail(self, error: Exception) -> None:
        """Give the error to whoever waits. Called on the event loop."""
        if not self.done.done():
            self.done.set_exception(error)
