"""Streams of requests, which may be idle for hours."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any


async def next_request(requests: AsyncIterator[Any], stopping: asyncio.Event) -> Any:
    """Return the next request; None where there are no more, or the server stops first."""
    coming = asyncio.ensure_future(anext(requests, None))
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({coming, stop}, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        stop.cancel()
        coming.cancel()
