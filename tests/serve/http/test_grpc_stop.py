"""How gRPC ends: with HTTP's port, and with the same grace for what is under way."""

import queue
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import tritonclient.grpc as over_grpc
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2_grpc

from pointcmt_serve.http import Settings
from tests.serve.http.calling import asked, calls, free_port, rejected, slowed
from tests.serve.http.folders import wait_for
from tests.serve.http.running import INFER, Running, running


@contextmanager
def uploading(server: Running) -> Iterator[None]:
    """A request over HTTP whose body does not end, for which the server waits in its grace."""
    with server.connect() as connection:
        connection.sendall(
            f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".encode()
        )
        wait_for(lambda: server.service.in_flight)
        yield


def test_grpc_takes_no_connection_once_the_port_of_http_is_closed(tiny: Settings) -> None:
    port = free_port()
    patient = replace(tiny, grpc=f"127.0.0.1:{port}", limits=replace(tiny.limits, body_seconds=9))
    with running(patient, grace=9) as server, uploading(server):
        server.server.handle_exit(signal.SIGTERM, None)
        wait_for(lambda: refused(server.port))
        wait_for(lambda: refused(port))
        assert server.service.in_flight == 1  # the grace goes on


def test_a_call_under_way_is_answered_when_the_ports_are_closed(tiny: Settings) -> None:
    port = free_port()
    settings = replace(tiny, grpc=f"127.0.0.1:{port}", grace=9)
    with calls(port) as stub, running(settings, grace=9) as server:
        reached, gate = slowed(server)
        answer = stub.ModelInfer.future(asked([8, 3], 24))
        assert reached.wait(20)
        server.server.handle_exit(signal.SIGTERM, None)
        wait_for(lambda: refused(port))
        gate.set()
        assert len(answer.result(20).outputs) == 4
    assert rejected(server) == {}


def test_every_call_that_was_taken_is_answered_when_the_server_stops_under_load(
    tiny: Settings,
) -> None:
    port = free_port()
    answered: list[int] = []

    def ask() -> None:
        """Call until it cannot be done any more."""
        with calls(port) as stub, suppress(grpc.RpcError):
            while True:
                stub.ModelInfer(asked([8, 3], 24), timeout=20)
                answered.append(1)

    settings = replace(tiny, grpc=f"127.0.0.1:{port}")
    with ThreadPoolExecutor(8) as asking, running(settings) as server:
        for _ in range(8):
            asking.submit(ask)
        wait_for(lambda: len(answered) > 50)
        server.server.handle_exit(signal.SIGTERM, None)
    assert taken(server) == {"OK": len(answered)}


def taken(server: Running) -> dict[str, float]:
    """How many calls ended with which status."""
    (found,) = server.service.metrics.requests.collect()
    totals = [sample for sample in found.samples if sample.name.endswith("_total")]
    return {sample.labels["status"]: sample.value for sample in totals}


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_call_that_the_grace_cuts_off_is_told_apart(tiny: Settings) -> None:
    port = free_port()
    with (
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        running(replace(tiny, grpc=f"127.0.0.1:{port}", grace=1), grace=1) as server,
    ):
        reached, gate = slowed(server)
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        answer = call.future(asked([8, 3], 24))
        assert reached.wait(20)
        server.server.handle_exit(signal.SIGTERM, None)
        assert answer.exception(timeout=20) is not None
        wait_for(lambda: rejected(server))
        gate.set()
    assert rejected(server) == {"stopping": 1}


def test_an_idle_stream_does_not_hold_up_the_end(
    tiny: Settings, clouds: NDArray[np.float32]
) -> None:
    port = free_port()
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    tensor = over_grpc.InferInput("points", list(clouds.shape), "FP32")
    tensor.set_data_from_numpy(clouds)
    with over_grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
        with running(replace(tiny, grpc=f"127.0.0.1:{port}", grace=15), grace=15) as server:
            client.start_stream(lambda result, error: answers.put((result, error)))
            client.async_stream_infer("tiny", [tensor])
            assert answers.get(timeout=20)[1] is None
            start = time.monotonic()
            server.server.handle_exit(signal.SIGTERM, None)
        assert time.monotonic() - start < 7
        assert "the server is stopping" in str(answers.get(timeout=20)[1])
