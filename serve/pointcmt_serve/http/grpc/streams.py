"""Streams of messages, which may be idle for hours."""

import asyncio
from typing import Any

from grpc.aio import EOF


async def next_message(context: Any, stopping: asyncio.Event) -> bytes | None:
    """Return the next message; None where there are no more, or the server stops first."""
    coming = asyncio.ensure_future(context.read())
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({coming, stop}, return_when=asyncio.FIRST_COMPLETED)
        message = coming.result() if coming.done() else EOF
        return None if message is EOF else bytes(message)
    finally:
        stop.cancel()
        coming.cancel()
