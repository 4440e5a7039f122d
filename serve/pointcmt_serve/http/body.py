"""The body of a request, read and unpacked within the limits."""

import asyncio
import zlib
from collections.abc import Iterator
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from pointcmt.errors import InputError
from pointcmt_serve.http.budget import Reservation
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.settings import Limits

QUICK = 1 << 17  # bytes of a body that are parsed at once, beside other requests
_PIECE = 1 << 20


async def read_body(request: Request, limits: Limits, held: Reservation) -> bytes:
    """Read the whole body and undo its Content-Encoding.

    Raises:
        RefusedError: 408, 413, 415, or 503 where all requests together hold too much.
        InputError: it is not packed as its header says.
        ClientDisconnect: the client went away.
    """
    packing = request.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Encoding {packing!r} is not read here; send gzip, deflate or identity",
            headers={"Accept-Encoding": "gzip, deflate"},
        )
    body = await receive(request, limits, held)
    if packing in ("", "identity"):
        return body
    unpacked = bytearray()
    for piece in unpack(body):
        if len(unpacked) + len(piece) > limits.body:
            raise _too_large(limits)
        held.grow(len(piece))
        unpacked += piece
        await asyncio.sleep(0)  # a piece takes a few milliseconds, and others wait
    return bytes(unpacked)


async def receive(request: Request, limits: Limits, held: Reservation) -> bytes:
    """Read the whole body as it came; see `read_body` for what is raised."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.body:
        raise _too_large(limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk = message.get("body", b"")
                if len(body) + len(chunk) > limits.body:
                    raise _too_large(limits)
                held.grow(len(chunk))
                body += chunk
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError as error:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body did not come within {limits.body_seconds:g} s",
            reason="slow",
        ) from error


def unpack(body: bytes) -> Iterator[bytes]:
    """Undo gzip or deflate, with or without zlib's frame, of one part or many, piece by piece.

    Raises:
        InputError: it is not so packed, or cut short.
    """
    window = 47 if _framed(body) else -15
    rest = body
    try:
        while rest:
            stream = zlib.decompressobj(window)
            while not stream.eof:
                piece = stream.decompress(rest, _PIECE)
                rest = stream.unconsumed_tail
                # All may be taken in while some of it has yet to come out.
                if not (piece or rest or stream.eof):
                    raise InputError("the body is packed, but cut short")
                yield piece
            rest = stream.unused_data
    except zlib.error as error:
        raise InputError(f"the body is not packed as Content-Encoding says ({error})") from error


def _too_large(limits: Limits) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {limits.body} bytes, which are all that is read",
        reason="too_large",
    )


def _framed(body: bytes) -> bool:
    """Whether deflated data stand in gzip's frame (1f 8b), or zlib's (a multiple of 31)."""
    zlibs = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return zlibs or body[:2] == b"\x1f\x8b"
