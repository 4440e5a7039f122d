"""OpenTelemetry spans, where it is installed and somebody has set where they go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from opentelemetry import propagate, trace
except ModuleNotFoundError:
    trace = None  # type: ignore[assignment]


@contextmanager
def span(name: str, headers: dict[str, str]) -> Iterator[Any]:
    """Open a span for one request, below the one that `headers` (traceparent) name.

    Yields:
        A function that sets an attribute of the span; it does nothing without OpenTelemetry.
    """
    provider = None if trace is None else trace.get_tracer_provider()
    if provider is None or isinstance(provider, trace.ProxyTracerProvider):  # nobody set one
        yield lambda _key, _value: None
        return
    tracer = provider.get_tracer("pointcmt_serve")
    above = propagate.extract(headers)
    with tracer.start_as_current_span(name, above, trace.SpanKind.SERVER) as found:
        yield found.set_attribute
