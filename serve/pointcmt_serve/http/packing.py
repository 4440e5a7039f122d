"""Answers, packed as their clients accept it."""

import zlib
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response


def packed(
    request: Request, body: bytes, headers: dict[str, str], status: int = HTTPStatus.OK
) -> Response:
    """Return an answer whose body is packed if the request's Accept-Encoding takes it."""
    headers = {**headers, "Vary": "Accept-Encoding"}
    packing = accepted_packing(request.headers.get("accept-encoding", ""))
    if packing:
        body = pack(body, packing)
        headers["Content-Encoding"] = packing
    return Response(body, status, headers)


def accepted_packing(accepted: str) -> str | None:
    """Return "gzip" or "deflate" if the header Accept-Encoding takes it, the former first."""
    wanted = set()
    for entry in accepted.lower().split(","):
        name, _, weight = entry.replace(" ", "").partition(";")
        if weight not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            wanted.add(name)
    return next((name for name in ("gzip", "deflate") if name in wanted), None)


def pack(body: bytes, packing: str) -> bytes:
    """Pack an answer as "gzip" or "deflate" (with zlib's frame, as HTTP means it)."""
    stream = zlib.compressobj(1, zlib.DEFLATED, 31 if packing == "gzip" else 15)
    return stream.compress(body) + stream.flush()
