"""Refusals as gRPC's status codes."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import grpc

from pointcmt.errors import InputError
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.grpc.call import Call
from pointcmt_serve.http.operations.access import log_access
from pointcmt_serve.http.operations.tracing import call_span
from pointcmt_serve.http.service import Service

_log = logging.getLogger(__name__)

_CODES = {
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.NOT_IMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_LONGEST = 500  # characters of a sentence


class CallError(Exception):
    """A call that ends with a status.

    Attributes:
        code: gRPC's.
    """

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(shortened(sentence))
        self.code = code


def shortened(sentence: str) -> str:
    """Return what fits into the few KiB of a status, however long the words that it repeats."""
    return sentence if len(sentence) <= _LONGEST else f"{sentence[:300]} ... {sentence[-100:]}"


@contextmanager
def counted(service: Service, call: Call) -> Iterator[None]:
    """Count, trace and log one call, and turn what it raises into a `CallError`."""
    start, code = time.monotonic(), grpc.StatusCode.OK
    service.in_flight += 1
    with call_span(call.path, call.headers) as ended:
        try:
            yield
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            reason = "stopping" if service.lifecycle.stopping else "client_gone"
            service.metrics.rejected.labels(reason).inc()
            raise
        except Exception as error:
            code, sentence = _refusal(service, call, error)
            error.__traceback__ = None  # whoever keeps the error does not keep the message
            raise CallError(code, sentence) from error
        finally:
            service.in_flight -= 1
            ended(code.name)
            _record(service, call, code.name, time.monotonic() - start)


def _refusal(service: Service, call: Call, error: Exception) -> tuple[grpc.StatusCode, str]:
    if isinstance(error, RefusedError):
        service.metrics.rejected.labels(error.reason).inc()
        return _CODES.get(error.status, grpc.StatusCode.INVALID_ARGUMENT), str(error)
    if isinstance(error, InputError):
        service.metrics.rejected.labels("bad_request").inc()
        return grpc.StatusCode.INVALID_ARGUMENT, str(error)
    _log.error("call %s failed", call.identity, exc_info=error)
    sentence = f"the server failed; its log has more under {call.identity}"
    return grpc.StatusCode.INTERNAL, sentence


def _record(service: Service, call: Call, code: str, seconds: float) -> None:
    service.metrics.answered(call.method, "grpc", code, seconds)
    log_access(
        id=call.identity,
        client=call.peer,
        method="grpc",
        path=call.method,
        status=code,
        received=call.received,
        sent=call.sent,
        milliseconds=round(seconds * 1e3, 2),
        **call.logged,
    )
