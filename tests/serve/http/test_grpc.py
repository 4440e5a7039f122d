"""What gRPC's calls are refused with and counted as."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
import tritonclient.grpc as over_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from pointcmt_serve.http import Security, Settings
from pointcmt_serve.http.security import digest
from tests.serve.http.calling import asked, free_port, refusal, rejected, slowed
from tests.serve.http.folders import wait_for
from tests.serve.http.running import Running, running

Code = grpc.StatusCode
KEY = "a-key-of-some-length"


@pytest.fixture(scope="module")
def server(tiny: Settings, port: int) -> Iterator[Running]:
    with running(replace(tiny, grpc=f"127.0.0.1:{port}")) as found:
        yield found


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [([-1, -1, 3], 3), ([-2, -2, 3], 12), ([-1, 3], 3), ([0, 2**62, 3], 0), ([], 0)],
)
def test_an_odd_shape_is_refused(stub: Any, shape: list[int], numbers: int) -> None:
    code, sentence = refusal(stub.ModelInfer, asked(shape, numbers))
    assert code == Code.INVALID_ARGUMENT
    assert f"points has shape {shape}" in sentence


@pytest.mark.parametrize("field", ["model_name", "model_version", "datatype", "output"])
def test_a_sentence_that_repeats_a_long_word_arrives(stub: Any, field: str) -> None:
    request, word = asked([8, 3], 24), "\N{GRINNING FACE}" * 20_000
    if field == "datatype":
        request.inputs[0].datatype = word
    elif field == "output":
        request.outputs.add(name=word)
    else:
        setattr(request, field, word)
    code, sentence = refusal(stub.ModelInfer, request)
    assert code in (Code.INVALID_ARGUMENT, Code.NOT_FOUND)
    assert len(sentence) <= 500


def test_no_output_is_given_many_times_over(stub: Any) -> None:
    request = asked([8, 3], 24)
    for _ in range(99):
        request.outputs.add(name="labels")
    code, sentence = refusal(stub.ModelInfer, request)
    assert (code, "99 outputs" in sentence) == (Code.INVALID_ARGUMENT, True)


def test_the_longest_timeout_of_a_message_is_one(stub: Any) -> None:
    request = asked([8, 3], 24)
    request.parameters["timeout"].uint64_param = 2**64 - 1
    assert len(stub.ModelInfer(request, timeout=20).outputs) == 4


def test_a_model_is_loaded_without_parameters(server: Running, port: int) -> None:
    with over_grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
        for given in ({"config": "{}"}, {"config": "{}", "files": {"file:1/model.onnx": b"x"}}):
            with pytest.raises(InferenceServerException, match="parameters are not taken"):
                client.load_model("tiny", **given)


ABSENT = {
    "SystemSharedMemoryStatus": service_pb2.SystemSharedMemoryStatusRequest,
    "SystemSharedMemoryRegister": service_pb2.SystemSharedMemoryRegisterRequest,
    "SystemSharedMemoryUnregister": service_pb2.SystemSharedMemoryUnregisterRequest,
    "CudaSharedMemoryStatus": service_pb2.CudaSharedMemoryStatusRequest,
    "CudaSharedMemoryRegister": service_pb2.CudaSharedMemoryRegisterRequest,
    "CudaSharedMemoryUnregister": service_pb2.CudaSharedMemoryUnregisterRequest,
    "TraceSetting": service_pb2.TraceSettingRequest,
    "LogSettings": service_pb2.LogSettingsRequest,
}


def counted(server: Running, method: str, status: str) -> float:
    text = server.ask("GET", "/metrics", None, {"X-API-Key": KEY})[2].decode()
    labels = f'method="grpc",route="{method}",status="{status}"'
    lines = [line for line in text.splitlines() if f"requests_total{{{labels}}}" in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@pytest.mark.parametrize("method", ABSENT)
def test_what_is_not_offered_is_refused_and_counted(
    server: Running, stub: Any, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    code, sentence = refusal(getattr(stub, method), ABSENT[method]())
    assert code == Code.UNIMPLEMENTED
    assert " here; " in sentence
    assert counted(server, method, "UNIMPLEMENTED") == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_health_is_asked_and_not_watched(
    server: Running, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch
        code, sentence = refusal(
            lambda *a, **k: list(watch(*a, **k)), health_pb2.HealthCheckRequest()
        )
    assert (code, "ask Check" in sentence) == (Code.UNIMPLEMENTED, True)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_what_is_not_offered_asks_for_a_key(tiny: Settings) -> None:
    port = free_port()
    guarded = replace(tiny, grpc=f"127.0.0.1:{port}", security=Security((digest(KEY),)))
    request = service_pb2.LogSettingsRequest()
    with running(guarded), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).LogSettings
        assert refusal(call, request)[0] == Code.UNAUTHENTICATED
        assert refusal(call, request, metadata=[("x-api-key", KEY)])[0] == Code.UNIMPLEMENTED


def test_a_call_whose_client_is_gone_is_no_success(tiny: Settings) -> None:
    port = free_port()
    with (
        running(replace(tiny, grpc=f"127.0.0.1:{port}")) as server,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        reached, gate = slowed(server)
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        answer = call.future(asked([8, 3], 24))
        assert reached.wait(20)
        answer.cancel()
        wait_for(lambda: counted(server, "ModelInfer", "CANCELLED"))
        gate.set()
        assert counted(server, "ModelInfer", "OK") == 0
    assert rejected(server) == {"client_gone": 1}
