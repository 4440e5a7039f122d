"""What every call goes through before it is answered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from pointcmt.errors import InputError
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.grpc.call import Call, begun
from pointcmt_serve.http.grpc.errors import CallError, counted
from pointcmt_serve.http.grpc.messages import write_failure
from pointcmt_serve.http.grpc.rooms import Rooms
from pointcmt_serve.http.grpc.streams import next_message
from pointcmt_serve.http.service import Service

Answer = Callable[[Any, Call], Awaitable[Any]]


class Entrance(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Asks each call for its key, receives its message when there is room, and counts it.

    gRPC itself would receive a message before anybody is asked. So every call is taken as a stream
    of messages, which are received when they are read; on the wire there is no difference.

    Attributes:
        stopping: set when the server stops, which ends streams.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rooms = Rooms(service.settings.limits)
        self._handlers: dict[str, Any] = {}
        self.stopping = asyncio.Event()

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Return what answers a call, or None where there is no such method."""
        path = details.method
        if path not in self._handlers:
            found = await continuation(details)
            if found is None:
                return None
            self._handlers[path] = self._guarded(path, found)
        return self._handlers[path]

    def _guarded(self, path: str, found: Any) -> Any:
        read, write = found.request_deserializer, found.response_serializer
        if found.request_streaming:
            many = self._stream(path, read, found.stream_stream)
            return grpc.stream_stream_rpc_method_handler(many, None, write)
        one = self._call(path, read, found.unary_unary or found.unary_stream)
        if found.response_streaming:
            return grpc.stream_stream_rpc_method_handler(one, None, write)
        return grpc.stream_unary_rpc_method_handler(one, None, write)

    def _call(self, path: str, read: Callable[[bytes], Any], answer: Answer) -> Any:
        service = self._service

        async def answered(_: Any, context: Any) -> Any:
            call = begun(path, context)
            try:
                with counted(service, call), service.budget.reserve() as held:
                    call.authorise(service.settings.security.keys)
                    received = self._rooms.receive(call, held)
                    return _sent(call, await answer(_parsed(read, await received), call))
            except CallError as error:
                refused = error.code, str(error)
            # Outside, since gRPC keeps this error, which would keep that one, which keeps messages.
            return await context.abort(*refused)

        return answered

    def _stream(self, path: str, read: Callable[[bytes], Any], answer: Answer) -> Any:
        async def answered(_: Any, context: Any) -> None:
            stream = begun(path, context)
            try:
                with self._opened(stream):
                    while await self._message(stream.message(), read, answer):
                        pass
            except CallError as error:
                await context.abort(error.code, str(error))
            if self.stopping.is_set():
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")

        return answered

    @contextmanager
    def _opened(self, stream: Call) -> Iterator[None]:
        """Let a stream in; of itself only a refusal is counted, for each of its messages is."""
        with ExitStack() as kept:
            try:
                stream.authorise(self._service.settings.security.keys)
                kept.enter_context(self._rooms.stream())
            except RefusedError:
                with counted(self._service, stream):
                    raise
            yield

    async def _message(self, call: Call, read: Callable[[bytes], Any], answer: Answer) -> bool:
        """Answer the next message of a stream, which an error does not end; False: it has ended."""
        raw = await next_message(call.context, self.stopping)
        if raw is None:
            return False
        identity = ""
        try:
            with counted(self._service, call), self._service.budget.reserve() as held:
                call.received = len(raw)
                held.grow(call.received)
                request = _parsed(read, raw)
                identity, raw = request.id, None
                reply = _sent(call, await answer(request, call))
        except CallError as error:
            reply = write_failure(identity, str(error))
        await call.context.write(reply)
        return True


def _parsed(read: Callable[[bytes], Any], raw: bytes) -> Any:
    try:
        return read(raw)
    except DecodeError as error:
        raise InputError("the message is none of the protocol's") from error


def _sent(call: Call, answer: Any) -> Any:
    call.sent = answer.ByteSize()
    return answer
