"""Spans of OpenTelemetry."""

from dataclasses import replace
from typing import Any

import pytest
from tritonclient.grpc import service_pb2

from pointcmt_serve.http import Settings
from tests.serve.http.calling import asked, calls, free_port, refusal
from tests.serve.http.folders import wait_for
from tests.serve.http.running import GOOD, INFER, Running, running

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ABOVE = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is exported."""
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    from pointcmt_serve.http.operations import tracing

    memory = export.InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr(tracing.trace, "get_tracer_provider", lambda: provider)
    return memory


def ended(spans: Any, count: int = 1) -> list[Any]:
    """The spans, which end behind the answers."""
    wait_for(lambda: len(spans.get_finished_spans()) >= count)
    found = list(spans.get_finished_spans())
    assert len(found) == count
    return found


def test_a_request_is_a_span_below_its_callers(server: Running, spans: Any) -> None:
    server.ask("GET", "/v2", None, ABOVE)
    (span,) = ended(spans)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize(
    ("method", "path", "name", "route"),
    [
        ("GET", "/v2/models/tiny/ready?x=1", "GET /v2/models/{name}/ready", True),
        ("GET", "/v2/models/other/ready", "GET /v2/models/{name}/ready", True),
        ("GET", "/v2/models/t%69ny", "GET /v2/models/{name}", True),
        ("GET", "/secret%0apath", "GET", False),
        ("BREW", "/nothing", "HTTP", False),
    ],
)
def test_spans_are_named_by_their_route(
    server: Running, spans: Any, method: str, path: str, name: str, route: bool
) -> None:
    server.ask(method, path)
    (span,) = ended(spans)
    assert span.name == name
    assert span.attributes.get("http.route") == (name.split(" ")[1] if route else None)
    assert span.attributes["http.request.method"] == (method if method == "GET" else "_OTHER")


def test_only_what_the_server_failed_at_is_an_error(
    server: Running, spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    server.infer({"inputs": [GOOD]})
    server.infer({"inputs": []})
    server.infer({"inputs": [GOOD]}, "/v2/models/other/infer")
    monkeypatch.setattr(server.service.models.get("tiny").classifier, "predict", fail)
    server.infer({"inputs": [GOOD]})
    server.json("POST", INFER, {"inputs": [GOOD]}, {"X-Request-Timeout": "1e-9"})
    found = ended(spans, 5)
    told = {
        span.attributes["http.response.status_code"]: (
            span.status.status_code.name,
            span.attributes.get("error.type"),
        )
        for span in found
    }
    unset = ("UNSET", None)
    assert told == {
        200: unset,
        400: unset,
        404: unset,
        500: ("ERROR", "500"),
        504: ("ERROR", "504"),
    }
    assert {span.name for span in found} == {"POST /v2/models/{name}/infer"}


def test_a_call_is_a_span_below_its_callers(tiny: Settings, spans: Any) -> None:
    port = free_port()
    above = list(ABOVE.items())
    with running(replace(tiny, grpc=f"127.0.0.1:{port}")), calls(port) as stub:
        stub.ModelInfer(asked([8, 3], 24), timeout=20, metadata=above)
        refusal(stub.ModelInfer, asked([8]), metadata=above)
        refusal(stub.LogSettings, service_pb2.LogSettingsRequest(), metadata=above)
        stream = [asked([8, 3], 24)] * 2
        assert len(list(stub.ModelStreamInfer(iter(stream), timeout=20, metadata=above))) == 2
        found = ended(spans, 5)
    assert {f"{span.context.trace_id:032x}" for span in found} == {TRACE}
    assert {f"{span.parent.span_id:016x}" for span in found} == {PARENT}
    assert {span.attributes["rpc.system.name"] for span in found} == {"grpc"}
    assert all(span.name == span.attributes["rpc.method"] for span in found)
    service = "inference.GRPCInferenceService"
    assert [
        (span.name, span.attributes["rpc.response.status_code"], span.status.status_code.name)
        for span in found
    ] == [
        (f"{service}/ModelInfer", "OK", "UNSET"),
        (f"{service}/ModelInfer", "INVALID_ARGUMENT", "UNSET"),
        (f"{service}/LogSettings", "UNIMPLEMENTED", "ERROR"),
        (f"{service}/ModelStreamInfer", "OK", "UNSET"),
        (f"{service}/ModelStreamInfer", "OK", "UNSET"),
    ]
