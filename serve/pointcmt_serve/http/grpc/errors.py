"""Refusals as gRPC's status codes."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import grpc

from pointcmt.errors import InputError
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.operations.access import log_access
from pointcmt_serve.http.service import Service

_log = logging.getLogger(__name__)

_CODES = {
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
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
def counted(service: Service, method: str, peer: str) -> Iterator[None]:
    """Count and log one call, and turn what it raises into a `CallError`."""
    start, code = time.monotonic(), grpc.StatusCode.OK
    service.in_flight += 1
    try:
        yield
    except RefusedError as error:
        code = _CODES.get(error.status, grpc.StatusCode.INVALID_ARGUMENT)
        service.metrics.rejected.labels(error.reason).inc()
        raise CallError(code, str(error)) from error
    except InputError as error:
        code = grpc.StatusCode.INVALID_ARGUMENT
        service.metrics.rejected.labels("bad_request").inc()
        raise CallError(code, str(error)) from error
    except asyncio.CancelledError:
        code = grpc.StatusCode.CANCELLED
        reason = "stopping" if service.lifecycle.stopping else "client_gone"
        service.metrics.rejected.labels(reason).inc()
        raise
    except Exception as error:
        code = grpc.StatusCode.INTERNAL
        _log.exception("a call of %s failed", method)
        raise CallError(code, "the server failed; see its log") from error
    finally:
        service.in_flight -= 1
        seconds = time.monotonic() - start
        service.metrics.answered(method, "grpc", code.name, seconds)
        milliseconds = round(seconds * 1e3, 2)
        log_access(
            client=peer, method="grpc", path=method, status=code.name, milliseconds=milliseconds
        )


def metadata_of(context: Any) -> dict[str, str]:
    """Return the headers of a call."""
    return {str(key): str(value) for key, value in context.invocation_metadata() or ()}
