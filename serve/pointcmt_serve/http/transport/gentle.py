"""A transport whose end reaches the client."""

import asyncio
from collections.abc import Callable
from typing import Any

from pointcmt_serve.http.transport.sockets import queued

LINGER = 2.0  # seconds


class GentleTransport(asyncio.Transport):
    """Ends a connection whose client still sends without losing the answer on its way.

    A socket closed with unread bytes resets the connection, and the client may lose the answer it
    was about to read. So the sending side is ended first, and what comes is thrown away a while.
    """

    def __init__(
        self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop, unread: Callable[[], bool]
    ) -> None:
        """Wrap `inner`; `unread` tells whether its client may still be sending."""
        super().__init__()
        self._inner = inner
        self._loop = loop
        self._unread = unread
        self.lingering = False

    def close(self) -> None:
        """End the connection."""
        if self.lingering:
            return
        if self._inner.is_closing() or not self._unread() or not self._inner.can_write_eof():
            self._inner.close()
            return
        self.lingering = True
        self._inner.resume_reading()
        self._inner.write_eof()
        self._loop.call_later(LINGER, self._inner.abort)

    def end(self) -> None:
        """End the connection without waiting."""
        self._inner.close()

    def is_closing(self) -> bool:
        """Whether the connection is ended or about to be."""
        return self.lingering or self._inner.is_closing()

    def write(self, data: Any) -> None:
        """Send bytes."""
        if not self.lingering:
            self._inner.write(data)

    def unread_bytes(self) -> int:
        """Return how many bytes were written that the client's side has not taken."""
        return self._inner.get_write_buffer_size() + queued(self.get_extra_info("socket"))

    def abort(self) -> None:
        """Break the connection off."""
        self._inner.abort()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._inner.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the inner transport knows."""
        return self._inner.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give the connection to another protocol."""
        self._inner.set_protocol(protocol)
