"""Whether the server is starting, serving or stopping."""

from dataclasses import dataclass


@dataclass
class Lifecycle:
    """The state that health checks tell.

    Attributes:
        started: all models named at the start are loaded and warm.
        stopping: the server was asked to stop: it answers what comes, closes each connection
            behind the answer, and is neither live nor ready.
    """

    started: bool = False
    stopping: bool = False

    @property
    def live(self) -> bool:
        """Whether the process should be left running."""
        return not self.stopping

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.started and not self.stopping
