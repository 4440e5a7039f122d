import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pointcmt_serve import Classifier
from pointcmt_serve.http import ModelServer
from tests.reference.tiny_student import CLASSES, reference_logits

INFER = "/v2/models/tiny/infer"


@pytest.fixture
def server(model: Path) -> Iterator[ModelServer]:
    classifier = Classifier(model, threads=1)
    with ModelServer(("127.0.0.1", 0), classifier, "tiny", largest_body=100_000) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(
    server: ModelServer,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def infer(server: ModelServer, request: object, path: str = INFER) -> tuple[int, dict[str, Any]]:
    status, _, body = ask(server, "POST", path, json.dumps(request).encode())
    return status, json.loads(body)


def points_input(clouds: NDArray[Any], datatype: str = "FP32") -> dict[str, Any]:
    data = clouds.ravel().tolist()
    return {"name": "points", "shape": list(clouds.shape), "datatype": datatype, "data": data}


def outputs(answer: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {o["name"]: np.array(o["data"]).reshape(o["shape"]) for o in answer["outputs"]}


def test_a_batch_is_classified(server: ModelServer, clouds: NDArray[np.float32]) -> None:
    status, answer = infer(server, {"id": "42", "inputs": [points_input(clouds)]})
    assert status == 200
    assert (answer["model_name"], answer["id"]) == ("tiny", "42")
    expected = reference_logits(clouds)
    given = outputs(answer)
    np.testing.assert_allclose(given["logits"], expected, atol=1e-5)
    np.testing.assert_array_equal(given["indices"], expected.argmax(axis=1))
    assert given["labels"].tolist() == [CLASSES[i] for i in expected.argmax(axis=1)]
    np.testing.assert_allclose(given["probabilities"].sum(axis=1), 1, atol=1e-6)


def test_one_cloud_of_any_size_is_a_batch_of_one(server: ModelServer) -> None:
    cloud = np.random.default_rng(0).normal(size=(7, 3)) * 1000
    status, answer = infer(server, {"inputs": [points_input(cloud, "FP64")]})
    assert status == 200
    assert outputs(answer)["logits"].shape == (1, len(CLASSES))


def test_nested_data_are_taken_as_flat(server: ModelServer, clouds: NDArray[np.float32]) -> None:
    tensor = points_input(clouds) | {"data": clouds.tolist()}
    _, answer = infer(server, {"inputs": [tensor]})
    np.testing.assert_allclose(outputs(answer)["logits"], reference_logits(clouds), atol=1e-5)


def test_only_the_outputs_asked_for_are_sent(
    server: ModelServer, clouds: NDArray[np.float32]
) -> None:
    wanted = [{"name": "labels"}, {"name": "logits"}]
    _, answer = infer(server, {"inputs": [points_input(clouds)], "outputs": wanted})
    assert [o["name"] for o in answer["outputs"]] == ["labels", "logits"]


def test_tensors_may_travel_as_bytes(server: ModelServer, clouds: NDArray[np.float32]) -> None:
    raw = clouds.astype("<f4").tobytes()
    tensor = {"name": "points", "shape": list(clouds.shape), "datatype": "FP32"}
    request = {
        "inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}],
        "outputs": [
            {"name": "logits", "parameters": {"binary_data": True}},
            {"name": "labels", "parameters": {"binary_data": True}},
            {"name": "indices"},
        ],
    }
    head = json.dumps(request).encode()
    sent = {"Inference-Header-Content-Length": str(len(head))}
    status, headers, body = ask(server, "POST", INFER, head + raw, sent)
    assert status == 200
    split = int(headers["Inference-Header-Content-Length"])
    logits, labels, indices = json.loads(body[:split])["outputs"]
    size = logits["parameters"]["binary_data_size"]
    given = np.frombuffer(body[split : split + size], "<f4").reshape(logits["shape"])
    expected = reference_logits(clouds)
    np.testing.assert_allclose(given, expected, atol=1e-5)
    texts, rest = [], body[split + size :]
    assert len(rest) == labels["parameters"]["binary_data_size"]
    while rest:
        length = int.from_bytes(rest[:4], "little")
        texts.append(rest[4 : 4 + length].decode())
        rest = rest[4 + length :]
    assert texts == [CLASSES[i] for i in expected.argmax(axis=1)]
    assert indices["data"] == expected.argmax(axis=1).tolist()


def test_the_server_and_its_model_describe_themselves(server: ModelServer) -> None:
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/tiny/ready"):
        assert ask(server, "GET", path)[0] == 200
    _, _, body = ask(server, "GET", "/v2/models/tiny/versions/1")
    described = json.loads(body)
    assert described["name"] == "tiny"
    assert described["inputs"] == [{"name": "points", "datatype": "FP32", "shape": [-1, -1, 3]}]
    assert {o["name"]: o["shape"] for o in described["outputs"]}["logits"] == [-1, len(CLASSES)]


def test_a_version_may_be_named(server: ModelServer, clouds: NDArray[np.float32]) -> None:
    request = {"inputs": [points_input(clouds)]}
    assert infer(server, request, "/v2/models/tiny/versions/1/infer")[0] == 200
    assert infer(server, request, "/v2/models/tiny/versions/2/infer")[0] == 404


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/models", "/v2/models/other", "/v2/models/tiny/x", "/v2/../etc"]
)
def test_what_is_not_there_is_not_found(server: ModelServer, path: str) -> None:
    status, _, body = ask(server, "GET", path)
    assert status == 404
    assert path in json.loads(body)["error"]


GOOD = points_input(np.random.default_rng(0).normal(size=(8, 3)))
BAD_REQUESTS: dict[str, tuple[object, str]] = {
    "no object": ([], "inputs"),
    "no input": ({}, "named points"),
    "another input": ({"inputs": [GOOD | {"name": "image"}]}, "named points"),
    "two inputs": ({"inputs": [GOOD, GOOD]}, "exactly one"),
    "an input that is no object": ({"inputs": [3]}, "no list of objects"),
    "integers": ({"inputs": [GOOD | {"datatype": "INT8"}]}, "datatype 'INT8'"),
    "a shape of words": ({"inputs": [GOOD | {"shape": ["a", 3]}]}, "no list of sizes"),
    "a negative shape": ({"inputs": [GOOD | {"shape": [-8, -3]}]}, "no list of sizes"),
    "a true shape": ({"inputs": [GOOD | {"shape": [True, 3]}]}, "no list of sizes"),
    "a flat shape": ({"inputs": [GOOD | {"shape": [24]}]}, "send"),
    "a larger shape": ({"inputs": [GOOD | {"shape": [9, 3]}]}, "24 numbers"),
    "a huge shape": ({"inputs": [GOOD | {"shape": [10**18, 10**18, 3]}]}, "24 numbers"),
    "no data": ({"inputs": [{k: GOOD[k] for k in ("name", "shape", "datatype")}]}, "neither data"),
    "words": ({"inputs": [GOOD | {"data": ["a"] * 24}]}, "not numbers"),
    "nulls": ({"inputs": [GOOD | {"data": [None] * 24}]}, "NaN"),
    "not a number": ({"inputs": [GOOD | {"data": [float("nan")] * 24}]}, "NaN"),
    "one point": ({"inputs": [GOOD | {"shape": [1, 3], "data": [1, 2, 3]}]}, "two different"),
    "no point": ({"inputs": [GOOD | {"shape": [0, 3], "data": []}]}, "0 points"),
    "an unknown output": ({"inputs": [GOOD], "outputs": [{"name": "mask"}]}, "no output 'mask'"),
    "odd parameters": ({"inputs": [GOOD | {"parameters": 3}]}, "parameters"),
    "bytes that do not come": (
        {"inputs": [GOOD | {"parameters": {"binary_data_size": 96}}]},
        "binary_data_size 96",
    ),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_is_refused_with_the_reason(server: ModelServer, case: str) -> None:
    request, sentence = BAD_REQUESTS[case]
    status, answer = infer(server, request)
    assert (status, set(answer)) == (400, {"error"})
    assert sentence in answer["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 50_000])
def test_a_body_that_is_no_json_is_refused(server: ModelServer, body: bytes) -> None:
    status, _, answer = ask(server, "POST", INFER, body)
    assert status == 400
    assert "not JSON" in json.loads(answer)["error"]


@pytest.mark.parametrize("length", ["-1", "999999", "many"])
def test_a_wrong_length_of_json_is_refused(server: ModelServer, length: str) -> None:
    sent = {"Inference-Header-Content-Length": length}
    status, _, answer = ask(server, "POST", INFER, b"{}", sent)
    assert status == 400
    assert "Inference-Header-Content-Length" in json.loads(answer)["error"]


def test_a_body_beyond_the_limit_is_refused_unread(server: ModelServer) -> None:
    with socket.create_connection(server.server_address, timeout=20) as raw:
        raw.sendall(f"POST {INFER} HTTP/1.1\r\nContent-Length: {10**12}\r\n\r\n".encode())
        assert b" 413 " in raw.makefile("rb").readline()


def test_a_body_without_length_is_refused(server: ModelServer) -> None:
    with socket.create_connection(server.server_address, timeout=20) as raw:
        raw.sendall(f"POST {INFER} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        assert b" 411 " in raw.makefile("rb").readline()


def test_a_bad_request_leaves_the_server_working(
    server: ModelServer, clouds: NDArray[np.float32]
) -> None:
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    for body, status in ((b"{", 400), (json.dumps({"inputs": [GOOD]}).encode(), 200)):
        connection.request("POST", INFER, body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_many_clients_are_answered_at_once(
    server: ModelServer, clouds: NDArray[np.float32]
) -> None:
    def one(i: int) -> NDArray[Any]:
        return outputs(infer(server, {"inputs": [points_input(clouds[i % 5])]})[1])["logits"]

    with ThreadPoolExecutor(16) as pool:
        given = list(pool.map(one, range(40)))
    expected = reference_logits(clouds)
    for i, logits in enumerate(given):
        np.testing.assert_allclose(logits[0], expected[i % 5], atol=1e-5)


def test_a_busy_server_says_so(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointcmt_serve.http.IDLE_SECONDS", 0.05)
    server.slots = threading.BoundedSemaphore(1)
    with server.slots:
        status, answer = infer(server, {"inputs": [GOOD]})
    assert status == 503
    assert "busy" in answer["error"]
    assert infer(server, {"inputs": [GOOD]})[0] == 200


def test_a_failure_inside_is_no_blank_page(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(server, "classifier", fail)
    status, answer = infer(server, {"inputs": [GOOD]})
    assert status == 500
    assert "secret" not in answer["error"]


def test_the_command_serves_until_it_is_asked_to_stop(model: Path) -> None:
    command = [sys.executable, "-c", "from pointcmt_serve.serve import main; main()"]
    options = ["--port", "0", "--name", "tiny", "--threads", "1"]
    with subprocess.Popen(
        [*command, model, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.endswith("/v2/models/tiny")
        host, port = address.split("/")[2].split(":")
        connection = HTTPConnection(host, int(port), timeout=20)
        connection.request("POST", INFER, json.dumps({"inputs": [GOOD]}))
        assert connection.getresponse().status == 200
        connection.close()
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_a_port_in_use_is_one_sentence(model: Path) -> None:
    from click.testing import CliRunner

    from pointcmt_serve.serve import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, [str(model), "--port", port])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"Error: 127.0.0.1:{port} cannot be listened")
