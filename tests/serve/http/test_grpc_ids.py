"""The ids of gRPC's calls, and their lines in the log."""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2

from pointcmt_serve.http import Settings
from tests.serve.http.calling import asked
from tests.serve.http.folders import wait_for
from tests.serve.http.running import GOOD, Running, running

ID = "x-request-id"


@pytest.fixture(scope="module")
def server(tiny: Settings, port: int) -> Iterator[Running]:
    with running(replace(tiny, grpc=f"127.0.0.1:{port}")) as found:
        yield found


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[int], list[dict[str, Any]]]:
    """What returns the fields of so many lines, which are written behind the answers."""
    caplog.set_level(logging.INFO, "pointcmt.access")

    def written(count: int) -> list[dict[str, Any]]:
        wait_for(lambda: len(caplog.records) >= count)
        return [record.fields for record in caplog.records]  # type: ignore[attr-defined]

    return written


def returned(call: Any) -> str:
    (found,) = [str(value) for key, value in call.trailing_metadata() if key == ID]
    return found


def test_a_call_has_an_id_that_is_kept_or_made(stub: Any) -> None:
    request = service_pb2.ServerLiveRequest()
    _, call = stub.ServerLive.with_call(request, timeout=20, metadata=[(ID, "abc-1")])
    assert returned(call) == "abc-1"
    for odd in ([], [(ID, "a b")], [(ID, "x" * 200)]):
        _, call = stub.ServerLive.with_call(request, timeout=20, metadata=odd)
        assert re.fullmatch("[0-9a-f]{32}", returned(call))


def test_a_refusal_has_its_id_too(stub: Any, lines: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(asked([8]), timeout=20, metadata=[(ID, "abc-2")])
    assert returned(caught.value) == "abc-2"
    (line,) = lines(1)
    assert (line["id"], line["status"]) == ("abc-2", "INVALID_ARGUMENT")


def test_a_call_is_logged_as_a_request_is(server: Running, stub: Any, lines: Any) -> None:
    request = asked([2, 4, 3], 24)
    answer = stub.ModelInfer(request, timeout=20, metadata=[(ID, "abc-3")])
    (call,) = lines(1)
    assert (call["id"], call["model"], call["version"], call["clouds"]) == ("abc-3", "tiny", "1", 2)
    assert (call["received"], call["sent"]) == (request.ByteSize(), answer.ByteSize())
    assert min(call[f"{stage}_ms"] for stage in ("queue", "preparation", "network")) >= 0
    server.infer({"inputs": [GOOD]})
    assert set(lines(2)[1]) == set(call)


def test_all_messages_of_a_stream_are_logged_under_its_id(stub: Any, lines: Any) -> None:
    messages = [asked([8, 3], 24), asked([8]), asked([8, 3], 24)]
    stream = stub.ModelStreamInfer(iter(messages), timeout=20, metadata=[(ID, "abc-4")])
    assert [bool(answer.error_message) for answer in stream] == [False, True, False]
    assert returned(stream) == "abc-4"
    found = [(line["id"], line["status"], line.get("clouds")) for line in lines(3)]
    answered = ("abc-4", "OK", 1)
    assert found == [answered, ("abc-4", "INVALID_ARGUMENT", None), answered]
