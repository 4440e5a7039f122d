"""Whether the server is starting, serving or stopping."""

import asyncio
import time
from dataclasses import dataclass, field


@dataclass
class Lifecycle:
    """The state that health checks tell.

    Attributes:
        started: all models named at the start are loaded and warm.
        stopping: the server was asked to stop: it answers what comes, closes each connection
            behind the answer, and is neither live nor ready.
        end: when, on the monotonic clock, no request may be under way any more; None: not known.
        closed: set when HTTP's ports are closed; the others close with them.
    """

    started: bool = False
    stopping: bool = False
    end: float | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def left(self, seconds: float) -> float:
        """Return what is left of the seconds that requests under way may take, at most all."""
        return seconds if self.end is None else min(seconds, max(0.0, self.end - time.monotonic()))

    @property
    def live(self) -> bool:
        """Whether the process should be left running."""
        return not self.stopping

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.started and not self.stopping
