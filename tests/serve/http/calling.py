"""What tests of gRPC share: a free port, requests, and a network that waits."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.serve.http.running import Running


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def calls(port: int) -> Iterator[Any]:
    """The protocol's calls over a connection of one's own."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=own) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def asked(shape: list[int], numbers: int = 0, **fields: Any) -> Any:
    request = service_pb2.ModelInferRequest(model_name="tiny", **fields)
    request.inputs.add(name="points", datatype="FP32", shape=shape)
    request.raw_input_contents.append(np.arange(numbers, dtype="<f4").tobytes())
    return request


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=20, **options)
    error: Any = caught.value
    return error.code(), error.details()


def slowed(server: Running) -> tuple[threading.Event, threading.Event]:
    """Let the network say when it is reached, and wait until it may answer."""
    classifier: Any = server.service.models.get("tiny").classifier
    reached, gate, predict = threading.Event(), threading.Event(), classifier.predict

    def slow(*arguments: Any) -> Any:
        reached.set()
        gate.wait(20)
        return predict(*arguments)

    classifier.predict = slow
    return reached, gate


def rejected(server: Running) -> dict[str, float]:
    (found,) = server.service.metrics.rejected.collect()
    totals = [sample for sample in found.samples if sample.name.endswith("_total")]
    return {sample.labels["reason"]: sample.value for sample in totals}
