"""uvicorn's server, which stops in a stated time without losing what it accepted."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from pointcmt_serve.http.operations import Lifecycle


class Server(uvicorn.Server):
    """A server whose readiness ends at once when it is asked to stop, and whose port ends later."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain: float) -> None:
        """Make a server.

        Args:
            config: uvicorn's.
            lifecycle: told when the server is asked to stop.
            drain: seconds that new connections are still taken after that, so that whoever sends
                requests here can learn from the health checks not to.
        """
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain = drain
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal stops at once."""
        if self._stop_at is not None:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
        self._lifecycle.stopping = True
        self._stop_at = time.monotonic() + self._drain
        self._lifecycle.end = self._stop_at + (self.config.timeout_graceful_shutdown or 0)

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to stop."""
        due = self._stop_at is not None and time.monotonic() >= self._stop_at
        return await super().on_tick(counter) or due

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer every connection that was made before, and end."""
        accepted = [found for bound in sockets or [] for found in _pending(bound)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in accepted:
            await loop.connect_accepted_socket(self._protocol, connection, ssl=self.config.ssl)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        state = self.lifespan.state
        return make(config=self.config, server_state=self.server_state, app_state=state)


def _pending(bound: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that wait to be accepted; the end of the socket would reset them."""
    while True:
        try:
            connection, _ = bound.accept()
        except OSError:  # there is none, or the socket is closed
            return
        connection.setblocking(False)
        yield connection
