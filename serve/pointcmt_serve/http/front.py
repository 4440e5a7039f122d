"""The outermost layer: request ids, the access log, metrics, and errors as JSON."""

import asyncio
import json
import logging
import re
import time
from contextlib import suppress
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pointcmt.errors import InputError
from pointcmt_serve.http.errors import RefusedError, busy
from pointcmt_serve.http.operations import Lifecycle
from pointcmt_serve.http.operations.access import kept_id, log_access
from pointcmt_serve.http.operations.tracing import METHODS, request_span
from pointcmt_serve.http.origins import require_origin, with_origins
from pointcmt_serve.http.security import OPEN, account, offered_key
from pointcmt_serve.http.service import Service

_log = logging.getLogger(__name__)
_ADDRESS = re.compile(r"^https?://[^/]*", re.IGNORECASE)
_DRAIN_BYTES = 1 << 16
_DRAIN_SECONDS = 1.0
_UNREAD = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
CLIENT_GONE = 499  # nginx's status for a request whose client did not wait; it is logged only


class Front:
    """Wraps the application; see the module."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._metrics = service.metrics
        security = service.settings.security
        self._keys = security.keys
        self._origins = security.origins
        self._within = with_origins(self._answer, security.origins)
        self._open = (*OPEN, "/metrics") if security.open_metrics else OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; lifespan events pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A request through a proxy may name the whole address (RFC 9112, section 3.2.2).
        scope["path"] = _ADDRESS.sub("", scope["path"], count=1) or "/"
        headers = Headers(scope=scope)
        exchange = _Exchange(scope, headers, receive, send, self._service.lifecycle)
        scope["state"]["exchange"] = exchange
        self._service.in_flight += 1
        try:
            with request_span(scope, dict(headers)) as answered:
                try:
                    await self._within(scope, exchange.receive, exchange.send)
                finally:
                    answered(exchange.status)
        finally:
            self._service.in_flight -= 1
            self._record(scope, exchange)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: _Exchange = scope["state"]["exchange"]
        headers = exchange.headers
        try:
            require_origin(scope, headers, self._origins)
            if self._keys and scope["path"] not in self._open and scope["method"] != "OPTIONS":
                scope["state"]["account"] = account(self._keys, offered_key(headers))
            await self._app(scope, receive, send)
        except RefusedError as refusal:
            refusal.__traceback__ = None  # whoever keeps the error does not keep the body
            await self._refuse(exchange, send, refusal)
        except InputError as error:
            error.__traceback__ = None
            odd = RefusedError(HTTPStatus.BAD_REQUEST, str(error))
            await self._refuse(exchange, send, odd)
        except HTTPException as error:  # the method is not one of the route's
            allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
            if scope["method"] == "OPTIONS":
                fields = {"Allow": f"{allowed}, OPTIONS"}
                await _finish(send, HTTPStatus.NO_CONTENT, b"", fields)
                return
            sentence = f"{scope['path']} does not take {scope['method'][:20]}; send {allowed}"
            await exchange.refuse(send, error.status_code, sentence, {"Allow": allowed})
        except ClientDisconnect:
            self._metrics.rejected.labels("client_gone").inc()
            exchange.status = CLIENT_GONE
        except asyncio.CancelledError:
            if not self._service.lifecycle.stopping:
                raise
            await self._refuse(exchange, send, busy("the server is stopping", "stopping"))
        except Exception:
            _log.exception("request %s failed", exchange.identity)
            sentence = f"the server failed; its log has more under {exchange.identity}"
            await exchange.refuse(send, HTTPStatus.INTERNAL_SERVER_ERROR, sentence, {})

    async def _refuse(self, exchange: "_Exchange", send: Send, refusal: RefusedError) -> None:
        self._metrics.rejected.labels(refusal.reason).inc()
        await exchange.refuse(send, refusal.status, str(refusal), refusal.headers)

    def _record(self, scope: Scope, exchange: "_Exchange") -> None:
        seconds = time.monotonic() - exchange.start
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.answered(route, method, exchange.status, seconds)
        client = scope.get("client")
        log_access(
            id=exchange.identity,
            client=client[0] if client else "",
            method=scope["method"],
            path=scope["path"],
            status=exchange.status,
            received=exchange.received,
            sent=exchange.sent,
            milliseconds=round(seconds * 1e3, 2),
            **scope["state"].get("logged", {}),
        )


class _Exchange:
    """One request and its answer, counted."""

    def __init__(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send, lifecycle: Lifecycle
    ) -> None:
        self.start = time.monotonic()
        self.identity = kept_id(headers.get("x-request-id", ""))
        self.status = 0
        self.received = 0
        self.sent = 0
        self._lifecycle = lifecycle
        self._receive = receive
        self._send = send
        self._headers_sent = False
        self.headers = headers
        length = int(headers.get("content-length", "0"))
        self._whole = length == 0 and "transfer-encoding" not in headers
        self._small = 0 < length <= _DRAIN_BYTES
        scope.setdefault("state", {})

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status not in _UNREAD:
                await self._drain()
            self._headers_sent = True
            headers = MutableHeaders(raw=list(message["headers"]))
            headers["X-Request-Id"] = self.identity
            # What is left of a body would have to be waited for before the next request.
            if self._lifecycle.stopping or not self._whole:
                headers["Connection"] = "close"
            message["headers"] = headers.raw
        else:
            self.sent += len(message.get("body", b""))
        await self._send(message)

    async def _drain(self) -> None:
        """Read what is left of a small body, so that the connection can be used again."""
        if self._lifecycle.stopping or self._whole or not self._small or "expect" in self.headers:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self._whole:
                    if (await self.receive())["type"] == "http.disconnect":
                        return

    async def refuse(self, send: Send, status: int, sentence: str, headers: dict[str, str]) -> None:
        if self._headers_sent:
            return
        body = json.dumps({"error": sentence}).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        await _finish(send, status, body, fields)


async def _finish(send: Send, status: int, body: bytes, fields: dict[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
