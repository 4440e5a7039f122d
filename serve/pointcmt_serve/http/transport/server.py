"""uvicorn's server, which stops in a stated time without losing what it accepted."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from pointcmt_serve.http.operations import Lifecycle


class Server(uvicorn.Server):
    """A server whose readiness ends at once when it is asked to stop, and whose port ends later."""

    def __init__(
        self,
        config: uvicorn.Config,
        lifecycle: Lifecycle,
        drain: float,
        asked: Callable[[], bool] = lambda: False,
        handshake: float = 10.0,
    ) -> None:
        """Make a server.

        Args:
            config: uvicorn's.
            lifecycle: told when the server is asked to stop.
            drain: seconds that new connections are still taken after that, so that whoever sends
                requests here can learn from the health checks not to.
            asked: whether the server shall begin to stop though no signal came.
            handshake: seconds that a new connection has for TLS.
        """
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain = drain
        self._asked = asked
        self._handshake = handshake
        self._signals = 0
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal stops at once."""
        self._signals += 1
        if self._signals > 1:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
            self._stop_in(0.0)
        elif self._stop_at is None:
            self._stop_in(self._drain)

    def _stop_in(self, seconds: float) -> None:
        self._lifecycle.stopping = True
        self._stop_at = time.monotonic() + seconds
        self._lifecycle.end = self._stop_at + (self.config.timeout_graceful_shutdown or 0)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then to accept connections, as uvicorn does."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        loop = asyncio.get_running_loop()
        options = {"backlog": self.config.backlog, **self._secure()}
        self.servers = [
            await loop.create_server(self._protocol, sock=bound, **options)
            for bound in sockets or []
        ]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to stop."""
        if self._stop_at is None and self._asked():
            self._stop_in(self._drain)
        due = self._stop_at is not None and time.monotonic() >= self._stop_at
        return await super().on_tick(counter) or due

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer every connection that was made before, and end."""
        accepted = [found for bound in sockets or [] for found in _pending(bound)]
        for server in self.servers:
            server.close()
        self._lifecycle.closed.set()
        loop = asyncio.get_running_loop()
        for connection in accepted:
            await loop.connect_accepted_socket(self._protocol, connection, **self._secure())
        await super().shutdown(sockets)

    def _secure(self) -> dict[str, Any]:
        context = self.config.ssl
        return {"ssl": context, "ssl_handshake_timeout": self._handshake if context else None}

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
