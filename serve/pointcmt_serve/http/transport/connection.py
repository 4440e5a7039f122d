"""One client's connection: uvicorn's h11 protocol, bounded in time and strict about framing."""

import asyncio
import json
import socket
from http import HTTPStatus
from itertools import count
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from pointcmt_serve.http.operations import Metrics
from pointcmt_serve.http.operations.access import log_access, new_id
from pointcmt_serve.http.settings import Limits
from pointcmt_serve.http.transport.framing import StrictConnection, error_head
from pointcmt_serve.http.transport.gentle import GentleTransport
from pointcmt_serve.http.transport.sockets import send_at_once

_LAST_CALL = 0.5  # seconds that a new connection has for its request when the server stops
_numbers = count()  # of connections: one through a socket file has no address
_LOOK = 0.1  # seconds between two looks whether a half-closed client is gone


class Connection(H11Protocol):
    """A connection that keeps limits of time, and of how many there are."""

    def __init__(self, *args: Any, limits: Limits, metrics: Metrics, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self.metrics = metrics
        self.conn = StrictConnection(self.limits.headers)
        self.app_state = {**self.app_state, "connection": f"{next(_numbers)}"}
        self._headers_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._half_closed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, or refuse one connection too many."""
        send_at_once(transport.get_extra_info("socket"))
        self._gentle = GentleTransport(transport, self.loop, self._may_be_sending)
        super().connection_made(self._gentle)
        if len(self.connections) > self.limits.connections:
            sentence = f"{self.limits.connections} connections are open; try again later"
            status = HTTPStatus.SERVICE_UNAVAILABLE
            self._refuse(status, sentence, "connections", "Retry-After: 1")
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        for timer in (self._headers_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._gentle.is_closing():
            return
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            if self._headers_timer is None and not self._gentle.is_closing():
                self._wait_for_headers()
        elif self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def on_response_complete(self) -> None:
        """Send the answer; begin to wait for the next request, of which a part may have come."""
        self._gentle.flush()
        super().on_response_complete()
        begun = self.conn.trailing_data[0] and self.cycle.response_complete
        if begun and self._headers_timer is None and not self._gentle.is_closing():
            self._wait_for_headers()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that has ended its sending side, unless it is gone altogether."""
        if self._gentle.lingering or self.cycle is None or self.cycle.response_complete:
            self._gentle.end()
            return False
        self._half_closed = True
        if self.cycle.more_body:
            self._refuse(HTTPStatus.BAD_REQUEST, "the body is shorter than announced", "framing")
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            return True
        self.cycle.keep_alive = False
        if self._gentle.get_extra_info("sslcontext") is not None:
            return False
        # A client that is gone answers whatever is sent with a reset; one that waits, does not.
        if not self.cycle.response_started and self.scope["http_version"] == "1.1":
            self._gentle.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._look_for_reset()
        return True

    def shutdown(self) -> None:
        """End the connection behind the request under way, or the one that is just coming."""
        if self.cycle is None and not self._gentle.is_closing():
            self.loop.call_later(_LAST_CALL, super().shutdown)
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """Give a client that does not read a limited time."""
        super().pause_writing()
        self._wait_for_reading()

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is no HTTP, as JSON."""
        fault = self.conn.fault if isinstance(self.conn, StrictConnection) else None
        status = HTTPStatus(fault.error_status_hint if fault else 400)
        self._refuse(status, f"this is no HTTP/1.1 request ({fault or msg})", "framing")
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _refuse(self, status: HTTPStatus, sentence: str, reason: str, *headers: str) -> None:
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = json.dumps({"error": sentence}).encode()
            identity = new_id()
            headers = (*headers, f"X-Request-Id: {identity}")
            self._gentle.write(error_head(status, status.phrase, len(body), *headers) + body)
            client = self.client[0] if self.client else ""
            self.metrics.rejected.labels(reason).inc()
            log_access(id=identity, client=client, status=int(status), error=sentence)
        self._gentle.close()

    def _wait_for_reading(self) -> None:
        left = self._gentle.unread_bytes()
        seconds = self.limits.write_seconds
        self._write_timer = self.loop.call_later(seconds, self._not_read, left)

    def _not_read(self, left: int) -> None:
        """End a connection whose client took no byte since `left` bytes waited for it."""
        if self._gentle.unread_bytes() < left:
            self._wait_for_reading()
            return
        self.metrics.rejected.labels("slow").inc()
        self._gentle.abort()

    def _wait_for_headers(self) -> None:
        self._headers_timer = self.loop.call_later(self.limits.header_seconds, self._headers_late)

    def _headers_late(self) -> None:
        self._headers_timer = None
        if not self._gentle.is_closing():
            seconds = self.limits.header_seconds
            sentence = f"the request's headers did not come within {seconds:g} s"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, sentence, "slow")

    def _may_be_sending(self) -> bool:
        if self._half_closed:
            return False
        faulty = isinstance(self.conn, StrictConnection) and self.conn.fault is not None
        return faulty or self.cycle is None or self.cycle.more_body

    def _look_for_reset(self) -> None:
        if self._gentle.is_closing() or self.cycle.response_complete:
            return
        sock = self._gentle.get_extra_info("socket")
        if sock is not None and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._gentle.abort()
            return
        self.loop.call_later(_LOOK, self._look_for_reset)
