"""What the routes that classify share: who asks, for how long, and whether somebody still waits."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any

from starlette.requests import ClientDisconnect, Request

from pointcmt.errors import InputError
from pointcmt_serve.http.batching import Client

TIMEOUT = "x-request-timeout"
_UNWATCHED = 0.05  # seconds; for most requests watching the client would cost more than it saves


def client_of(request: Request) -> Client:
    """Return who asks: by API key where there is one, else by address; a socket file has none.

    Our own transport numbers connections; under another ASGI server address and port tell them.
    """
    address, port = request.client or ("", 0)
    state = request.scope["state"]
    return Client(state.get("account", address), state.get("connection", f"{address}:{port}"))


def asked_seconds(request: Request) -> float | None:
    """Return the seconds in the header X-Request-Timeout; None without it.

    Raises:
        InputError: it is no positive number.
    """
    text = request.headers.get(TIMEOUT)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"the header X-Request-Timeout is {text!r}, no positive number of seconds")
    return seconds


def header_number(request: Request, header: str) -> int | None:
    """Return a header that is a number, or None without it.

    Raises:
        InputError: it is no number.
    """
    text = request.headers.get(header)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InputError(f"the header {header} is {text[:40]!r}, no number")
    return int(text)


async def while_connected(request: Request, work: Coroutine[Any, Any, Any]) -> Any:
    """Return what `work` returns; cancel it when the client goes away before.

    The body must have been read, so that nothing but the end of the connection can come.

    Raises:
        ClientDisconnect: the client went away.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    watching: asyncio.Task[None] | None = None
    waiting = True

    def ended(_: asyncio.Task[None]) -> None:
        if waiting and task is not None:
            task.cancel()

    def watch() -> None:
        nonlocal watching
        watching = loop.create_task(_disconnected(request))
        watching.add_done_callback(ended)

    timer = loop.call_later(_UNWATCHED, watch)
    try:
        return await work
    except asyncio.CancelledError:
        if watching is None or not watching.done() or task is None:
            raise
        task.uncancel()
        raise ClientDisconnect from None
    finally:
        waiting = False
        timer.cancel()
        if watching is not None:
            watching.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
