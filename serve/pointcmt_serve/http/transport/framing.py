"""HTTP/1.1 framing by h11, without what it lets pass.

Not by httptools: it takes the body of a request that offers an upgrade for the next request.

h11 takes Transfer-Encoding where Content-Length stands beside it; two readers of such a request
may see two different ones, so it is refused here.
"""

from typing import Any

import h11


class StrictConnection(h11.Connection):
    """An `h11.Connection` that refuses ambiguous requests.

    Attributes:
        fault: what was wrong with the request, once something was.
    """

    fault: h11.RemoteProtocolError | None = None

    def __init__(self, headers: int) -> None:
        """Make a server's side; `headers` bounds the bytes of a request's line and headers."""
        super().__init__(h11.SERVER, headers)
        self._headers = headers

    def receive_data(self, data: bytes) -> None:
        """Take bytes; empty lines before a request are passed over (RFC 9112, section 2.2)."""
        if data and self.their_state is h11.IDLE and not self.trailing_data[0]:
            data = data.lstrip(b"\r\n")
            if not data:
                return
        super().receive_data(data)

    def start_next_cycle(self) -> None:
        """Wait for the next request, of which a part may have come behind the last one."""
        behind, ended = self.trailing_data
        super().start_next_cycle()
        if behind.startswith((b"\r", b"\n")):
            super().__init__(h11.SERVER, self._headers)
            self.receive_data(behind)
            if ended:
                self.receive_data(b"")

    def next_event(self) -> Any:
        """Return the next event; see `h11.Connection.next_event`."""
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                _require_plain(event, self._headers)
        except h11.RemoteProtocolError as error:
            self.fault = error
            raise
        return event


def _require_plain(request: h11.Request, most: int) -> None:
    names = [name for name, _ in request.headers]
    size = len(request.target) + sum(len(name) + len(value) for name, value in request.headers)
    if size > most:  # h11 itself counts only while the headers are coming
        raise h11.RemoteProtocolError("its headers are too long", error_status_hint=431)
    if request.http_version not in (b"1.0", b"1.1"):
        raise h11.RemoteProtocolError("the version is neither 1.0 nor 1.1", error_status_hint=505)
    if b"transfer-encoding" not in names:
        return
    if b"content-length" in names:
        raise h11.RemoteProtocolError("it has both Content-Length and Transfer-Encoding")
    if request.http_version == b"1.0":
        raise h11.RemoteProtocolError("Transfer-Encoding is not part of HTTP/1.0")


def error_head(status: int, phrase: str, length: int, *more: str) -> bytes:
    """Return the line and headers of an answer that ends its connection."""
    lines = (
        f"HTTP/1.1 {status} {phrase}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Connection: close",
        *more,
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
