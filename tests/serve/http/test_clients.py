"""The clients that people have: tritonclient over HTTP and gRPC, and curl."""

import asyncio
import json
import queue
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc as grpc_core
import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as over_http
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException

from pointcmt_serve.http import Settings
from tests.reference.tiny_student import CLASSES, reference_logits
from tests.serve.http.running import GOOD, INFER, Running, running

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def grpc_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def server(tiny: Settings, grpc_port: int) -> Iterator[Running]:
    with running(replace(tiny, grpc=f"127.0.0.1:{grpc_port}")) as found:
        yield found


@pytest.fixture
def http(server: Running) -> Iterator[Any]:
    with over_http.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


@pytest.fixture
def grpc(server: Running, grpc_port: int) -> Iterator[Any]:
    with over_grpc.InferenceServerClient(f"127.0.0.1:{grpc_port}") as client:
        yield client


def points(module: Any, clouds: Floats, **kwargs: Any) -> list[Any]:
    tensor = module.InferInput("points", list(clouds.shape), "FP32")
    tensor.set_data_from_numpy(clouds, **kwargs)
    return [tensor]


def check(answer: Any, clouds: Floats) -> None:
    expected = reference_logits(clouds)
    np.testing.assert_allclose(answer.as_numpy("logits"), expected, atol=1e-5)
    labels = [CLASSES[i].encode() for i in expected.argmax(axis=1)]
    assert [
        bytes(x) if isinstance(x, bytes) else x.encode() for x in answer.as_numpy("labels")
    ] == labels


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_the_server_and_its_models_describe_themselves(
    request: pytest.FixtureRequest, kind: str
) -> None:
    client = request.getfixturevalue(kind)
    as_json = {"as_json": True} if kind == "grpc" else {}
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata(**as_json)["name"] == "pointcmt"
    described = client.get_model_metadata("tiny", **as_json)
    assert [tensor["name"] for tensor in described["outputs"]][:2] == ["logits", "probabilities"]
    config = client.get_model_config("tiny", **as_json)
    config = config.get("config", config)
    assert int(config["max_batch_size"]) == 100
    (known,) = client.get_inference_statistics("tiny", **as_json)["model_stats"]
    assert known["name"] == "tiny"
    index = client.get_model_repository_index(**as_json)
    index = index["models"] if kind == "grpc" else index
    assert [(model["name"], model["state"]) for model in index] == [("tiny", "READY")]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_http_infers(http: Any, clouds: Floats, binary: bool, packing: str | None) -> None:
    outputs = [
        over_http.InferRequestedOutput(name, binary_data=binary) for name in ("logits", "labels")
    ]
    answer = http.infer(
        "tiny",
        points(over_http, clouds, binary_data=binary),
        outputs=outputs,
        request_id="7",
        request_compression_algorithm=packing,
        response_compression_algorithm=packing,
    )
    check(answer, clouds)
    assert answer.get_response()["id"] == "7"


def test_http_infers_asynchronously(http: Any, server: Running, clouds: Floats) -> None:
    check(http.async_infer("tiny", points(over_http, clouds)).get_result(), clouds)

    async def ask() -> list[Any]:
        async with aio.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            calls = [client.infer("tiny", points(aio, clouds)) for _ in range(8)]
            return list(await asyncio.gather(*calls))

    for answer in asyncio.run(ask()):
        check(answer, clouds)


@pytest.mark.parametrize("packing", [None, "gzip"])
def test_grpc_infers(grpc: Any, clouds: Floats, packing: str | None) -> None:
    answer = grpc.infer("tiny", points(over_grpc, clouds), compression_algorithm=packing)
    check(answer, clouds)


def test_grpc_answers_the_probes_of_an_orchestrator(server: Running, grpc_port: int) -> None:
    status = health_pb2.HealthCheckResponse

    def probe(name: str) -> Any:
        asked = health_pb2.HealthCheckRequest(service=name)
        with grpc_core.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            return health_pb2_grpc.HealthStub(channel).Check(asked, timeout=20).status

    assert (probe(""), probe("tiny")) == (status.SERVING, status.SERVING)
    with pytest.raises(grpc_core.RpcError, match="no model 'other'"):
        probe("other")
    server.service.lifecycle.stopping = True
    assert probe("") == status.NOT_SERVING
    server.service.lifecycle.stopping = False


def test_grpc_infers_asynchronously(grpc: Any, grpc_port: int, clouds: Floats) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    grpc.async_infer(
        "tiny", points(over_grpc, clouds), lambda result, error: answers.put((result, error))
    )
    answer, error = answers.get(timeout=20)
    assert error is None
    check(answer, clouds)

    async def ask() -> list[Any]:
        async with grpc_aio.InferenceServerClient(f"127.0.0.1:{grpc_port}") as client:
            calls = [client.infer("tiny", points(grpc_aio, clouds)) for _ in range(8)]
            return list(await asyncio.gather(*calls))

    for answer in asyncio.run(ask()):
        check(answer, clouds)


def test_grpc_infers_in_a_stream_that_an_error_does_not_end(grpc: Any, clouds: Floats) -> None:
    answers: list[tuple[Any, Any]] = []
    grpc.start_stream(lambda result, error: answers.append((result, error)))
    for name in ("tiny", "other", "tiny"):
        grpc.async_stream_infer(name, points(over_grpc, clouds))
    grpc.stop_stream()
    assert [error is None for _, error in answers] == [True, False, True]
    check(answers[2][0], clouds)


@pytest.mark.parametrize(("kind", "module"), [("http", over_http), ("grpc", over_grpc)])
def test_classes_are_counted(
    request: pytest.FixtureRequest, kind: str, module: Any, clouds: Floats
) -> None:
    client = request.getfixturevalue(kind)
    wanted = [module.InferRequestedOutput("logits", class_count=2)]
    found = client.infer("tiny", points(module, clouds), outputs=wanted).as_numpy("logits")
    best = reference_logits(clouds).argmax(axis=1)
    assert found.shape == (5, 2)
    texts = [str(x, "utf-8") if isinstance(x, bytes) else x for x in found[:, 0]]
    assert [int(text.split(":")[1]) for text in texts] == best.tolist()


@pytest.mark.parametrize(("kind", "module"), [("http", over_http), ("grpc", over_grpc)])
def test_errors_are_the_clients_own(
    request: pytest.FixtureRequest, kind: str, module: Any, clouds: Floats
) -> None:
    client = request.getfixturevalue(kind)
    with pytest.raises(InferenceServerException, match="no model 'other'"):
        client.infer("other", points(module, clouds))
    with pytest.raises(InferenceServerException, match="two different"):
        client.infer("tiny", points(module, np.zeros((1, 9, 3), np.float32)))
    with pytest.raises(InferenceServerException, match="may have 100"):
        client.infer("tiny", points(module, np.zeros((101, 2, 3), np.float32)))


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_a_model_is_unloaded_and_loaded(request: pytest.FixtureRequest, kind: str) -> None:
    client = request.getfixturevalue(kind)
    client.unload_model("tiny")
    assert not client.is_model_ready("tiny")
    client.load_model("tiny")
    assert client.is_model_ready("tiny")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_classifies_files(server: Running, tmp_path: Path) -> None:
    (tmp_path / "a.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    np.save(tmp_path / "b.npy", np.array(GOOD["data"]).reshape(8, 3))
    (tmp_path / "c.ply").write_text("no ply")
    files = [word for name in "abc" for word in ("-F", f"file=@{next(tmp_path.glob(name + '.*'))}")]
    url = f"http://127.0.0.1:{server.port}/classify"
    done = subprocess.run(["curl", "-s", *files, "-F", "top=2", url], capture_output=True)
    first, second, third = json.loads(done.stdout)["answers"]
    assert (first["file"], len(first["top"])) == ("a.off", 2)
    _, plain = server.infer({"inputs": [GOOD]})
    assert second["logits"] == pytest.approx(plain["outputs"][0]["data"], abs=1e-6)
    assert third["error"].startswith("c.ply: ")


def test_the_protocols_own_example_has_its_form(server: Running) -> None:
    """The request of the protocol's text (an id, two rows of data), with our input in place."""
    request = {
        "id": "42",
        "inputs": [
            {"name": "points", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 7]}
        ],
        "outputs": [{"name": "logits"}],
    }
    status, answer = server.json("POST", INFER, request)
    assert (status, answer["id"], answer["model_name"]) == (200, "42", "tiny")
    (output,) = answer["outputs"]
    assert (set(output), output["shape"]) == ({"name", "shape", "datatype", "data"}, [1, 4])
