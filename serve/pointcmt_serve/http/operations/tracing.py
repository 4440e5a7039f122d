"""OpenTelemetry spans, where it is installed and somebody has set where they go.

Names, attributes and status are those of its semantic conventions for HTTP and for gRPC.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

try:
    from opentelemetry import propagate, trace
except ModuleNotFoundError:
    trace = None  # type: ignore[assignment]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# The other codes of gRPC are for what the client did.
_FAULTS = ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
_FIRST_FAULT = 500  # of HTTP's statuses


@contextmanager
def request_span(
    scope: Mapping[str, Any], headers: dict[str, str]
) -> Iterator[Callable[[int], None]]:
    """Open a span for a request over HTTP, below the one that `headers` (traceparent) name.

    Yields:
        What is told the status of the answer, when the request has been routed; 0: there is none.
    """
    method = scope["method"] if scope["method"] in METHODS else None
    name = method or "HTTP"
    begun = {"http.request.method": method or "_OTHER", "url.path": scope["path"]}
    with _span(name, headers, begun) as found:

        def answered(status: int) -> None:
            route = getattr(scope.get("route"), "path", None)
            if route is not None:
                found.update_name(f"{name} {route}")
                found.set_attribute("http.route", route)
            if status:
                found.set_attribute("http.response.status_code", int(status))
            if status >= _FIRST_FAULT:
                _fail(found, str(int(status)))

        yield answered if found is not None else _ignore


@contextmanager
def call_span(path: str, headers: dict[str, str]) -> Iterator[Callable[[str], None]]:
    """Open a span for a call over gRPC, of "package.Service/Method".

    Yields:
        What is told the code that the call ends with, by name.
    """
    with _span(path, headers, {"rpc.system.name": "grpc", "rpc.method": path}) as found:

        def ended(code: str) -> None:
            found.set_attribute("rpc.response.status_code", code)
            if code in _FAULTS:
                _fail(found, code)

        yield ended if found is not None else _ignore


@contextmanager
def _span(name: str, headers: dict[str, str], attributes: dict[str, str]) -> Iterator[Any]:
    provider = None if trace is None else trace.get_tracer_provider()
    if provider is None or isinstance(provider, trace.ProxyTracerProvider):  # nobody set one
        yield None
        return
    tracer = provider.get_tracer("pointcmt_serve")
    above = propagate.extract(headers)
    with tracer.start_as_current_span(
        name,
        above,
        trace.SpanKind.SERVER,
        attributes,
        record_exception=False,  # the status of the answer tells what failed
        set_status_on_exception=False,
    ) as found:
        yield found


def _fail(found: Any, kind: str) -> None:
    found.set_attribute("error.type", kind)
    found.set_status(trace.StatusCode.ERROR)


def _ignore(_: object) -> None:
    pass
