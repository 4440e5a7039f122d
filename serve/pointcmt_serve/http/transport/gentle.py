"""A transport whose end reaches the client, and whose answers travel in one piece."""

import asyncio
from collections.abc import Callable
from typing import Any

from pointcmt_serve.http.transport.sockets import queued

LINGER = 2.0  # seconds
_TOGETHER = 1 << 16  # bytes that are gathered before they are sent


class GentleTransport(asyncio.Transport):
    """Ends a connection whose client still sends without losing the answer on its way.

    A socket closed with unread bytes resets the connection, and the client may lose the answer it
    was about to read. So the sending side is ended first, and what comes is thrown away a while.

    An answer's headers, its body and its end are written one by one; they are gathered until
    `flush`, or the event loop's next turn, so that its client wakes once.
    """

    def __init__(
        self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop, unread: Callable[[], bool]
    ) -> None:
        """Wrap `inner`; `unread` tells whether its client may still be sending."""
        super().__init__()
        self._inner = inner
        self._loop = loop
        self._unread = unread
        self._gathered = bytearray()
        self.lingering = False

    def close(self) -> None:
        """End the connection."""
        if self.lingering:
            return
        self.flush()
        if self._inner.is_closing() or not self._unread() or not self._inner.can_write_eof():
            self._inner.close()
            return
        self.lingering = True
        self._inner.resume_reading()
        self._inner.write_eof()
        self._loop.call_later(LINGER, self._inner.abort)

    def end(self) -> None:
        """End the connection without waiting."""
        self.flush()
        self._inner.close()

    def is_closing(self) -> bool:
        """Whether the connection is ended or about to be."""
        return self.lingering or self._inner.is_closing()

    def write(self, data: Any) -> None:
        """Send bytes, together with what follows them at once."""
        if self.lingering:
            return
        if not self._gathered:
            self._loop.call_soon(self.flush)
        self._gathered += data
        if len(self._gathered) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Send what was gathered."""
        if self._gathered:
            gathered, self._gathered = self._gathered, bytearray()
            self._inner.write(gathered)

    def unread_bytes(self) -> int:
        """Return how many bytes were written that the client's side has not taken."""
        return self._inner.get_write_buffer_size() + queued(self.get_extra_info("socket"))

    def abort(self) -> None:
        """Break the connection off."""
        self._gathered.clear()
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
