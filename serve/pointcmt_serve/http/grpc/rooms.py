"""How many messages are received at once."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from grpc.aio import EOF

from pointcmt.errors import InputError
from pointcmt_serve.http.budget import Reservation
from pointcmt_serve.http.errors import RefusedError, busy
from pointcmt_serve.http.grpc.call import Call
from pointcmt_serve.http.settings import Limits

_LARGE = "ModelInfer"


def largest(limits: Limits) -> int:
    """Return the bytes that one message may have."""
    return min(limits.body, limits.memory)


class Rooms:
    """Lets calls and streams receive their messages in turn.

    gRPC tells nobody how large a message is before all of it is there. So as many are received at
    once as of the largest fit into the memory of all requests, and only what is there is counted.
    Messages with clouds, others and streams have rooms of their own, so that a probe does not wait
    behind clouds, nor a call behind streams, which keep their rooms while they are idle.

    Attributes:
        size: how many rooms there are of each kind.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.size = limits.memory // largest(limits)
        self._large = asyncio.Semaphore(self.size)
        self._small = asyncio.Semaphore(self.size)
        self._streams = 0

    async def receive(self, call: Call, held: Reservation) -> bytes:
        """Return the one message of a call, which is counted in `held`.

        Raises:
            RefusedError: 503, there was no room, or all requests together hold too much; 408.
            InputError: there is no message.
        """
        large = call.method == _LARGE
        room = self._large if large else self._small
        await self._enter(room)
        try:
            limits = self._limits
            message = await _read(call, limits.body_seconds if large else limits.header_seconds)
            call.received = len(message)
            held.grow(call.received)
            return message
        finally:
            room.release()

    async def _enter(self, room: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._limits.deadline):
                await room.acquire()
        except TimeoutError as error:
            raise _full(self.size, "messages may come") from error

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Keep a room while a stream is open.

        Raises:
            RefusedError: 503, there is none.
        """
        if self._streams == self.size:
            raise _full(self.size, "streams may be open")
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1


def _full(size: int, what: str) -> RefusedError:
    return busy(f"there is no room: {size} {what} at once; try again later", "memory")


async def _read(call: Call, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            message = await call.context.read()
    except TimeoutError as error:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the message did not come within {seconds:g} s",
            reason="slow",
        ) from error
    if message is EOF:
        raise InputError("the call has no message, or one that is too large")
    return bytes(message)
