"""What gRPC's calls may take: memory, time until a message is there, and streams."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pointcmt_serve.http import Security, Settings
from pointcmt_serve.http.security import digest
from tests.serve.http.calling import asked, calls, free_port, refusal, rejected
from tests.serve.http.folders import wait_for
from tests.serve.http.running import Running, running
from tests.serve.http.test_command import Command, serving

Code = grpc.StatusCode
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
LIVE = "/inference.GRPCInferenceService/ServerLive"
WATCH = "/grpc.health.v1.Health/Watch"
NOBODY = "received by nobody"
LARGE = asked([10**6, 3], 3 * 10**6).SerializeToString()  # 12 MB


@contextmanager
def narrow(tiny: Settings, port: int, **limits: Any) -> Iterator[Running]:
    """A server with room for one of the largest messages."""
    kept = replace(tiny.limits, memory=tiny.limits.body, **limits)
    with running(replace(tiny, grpc=f"127.0.0.1:{port}", limits=kept)) as server:
        yield server


@contextmanager
def without_message(port: int, path: str = INFER) -> Iterator[Any]:
    """A call whose message does not come."""
    never = threading.Event()

    def messages() -> Iterator[bytes]:
        never.wait(30)
        yield from ()

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_unary(path).future(messages(), timeout=20)
        try:
            yield call
        finally:
            never.set()


def resident(command: Command) -> int:
    """The most memory that a process has had, in KiB."""
    lines = Path(f"/proc/{command.process.pid}/status").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith("VmHWM"))
    return int(found.split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
@pytest.mark.parametrize("path", [INFER, LIVE, WATCH, NOBODY])
def test_messages_together_are_bounded(tiny_folder: Path, tmp_path: Path, path: str) -> None:
    """Twenty-four of 12 MB, which would be 0.9 GB with their copies, where 16 MiB are allowed."""
    port = free_port()
    words = ("--port", 0, "--grpc-port", port, "--max-memory", 16, "--max-body", 16)

    asking, patience = (INFER, 2) if path == NOBODY else (path, 30)
    with (
        serving(tmp_path / "log", f"tiny={tiny_folder}", *words) as command,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        assert command.first
        live = channel.unary_unary(LIVE)
        live(b"", timeout=20, wait_for_ready=True)
        before = resident(command)
        with without_message(port, INFER if path == NOBODY else STREAM):
            call = channel.unary_unary(asking)
            answers = [call.future(LARGE, timeout=patience) for _ in range(24)]
            for answer in answers:
                answer.exception(40)
        assert resident(command) - before < (30_000 if path == NOBODY else 250_000)
        assert command.stop() == 0


def test_a_message_has_at_most_the_memory_of_all(tiny: Settings) -> None:
    port = free_port()
    limits = replace(tiny.limits, memory=100_000)
    with running(replace(tiny, grpc=f"127.0.0.1:{port}", limits=limits)), calls(port) as stub:
        code, sentence = refusal(stub.ModelInfer, asked([10_000, 3], 30_000))
        assert (code, "(120" in sentence) == (Code.RESOURCE_EXHAUSTED, True)
        assert len(stub.ModelInfer(asked([8, 3], 24), timeout=20).outputs) == 4


def test_a_message_that_does_not_come_gives_its_room_back(tiny: Settings) -> None:
    port = free_port()
    with narrow(tiny, port) as server, calls(port) as stub, without_message(port) as slow:
        wait_for(lambda: server.service.in_flight)
        assert len(stub.ModelInfer(asked([8, 3], 24), timeout=20).outputs) == 4  # in its turn
        error = slow.exception(20)
        assert (error.code(), "within 1 s" in error.details()) == (Code.DEADLINE_EXCEEDED, True)
        wait_for(lambda: rejected(server) == {"slow": 1})
        assert server.service.budget.held == 0


def test_no_room_for_a_message_is_told_at_the_deadline(tiny: Settings) -> None:
    port = free_port()
    with (
        narrow(tiny, port, body_seconds=9, deadline=0.3) as server,
        without_message(port),
        calls(port) as stub,
    ):
        wait_for(lambda: server.service.in_flight)
        code, sentence = refusal(stub.ModelInfer, asked([8, 3], 24))
        assert (code, "1 messages may come" in sentence) == (Code.UNAVAILABLE, True)
        assert rejected(server) == {"memory": 1}


def test_a_probe_does_not_wait_behind_clouds(tiny: Settings) -> None:
    port = free_port()
    with narrow(tiny, port, body_seconds=9) as server, without_message(port):
        wait_for(lambda: server.service.in_flight)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            answer = check(health_pb2.HealthCheckRequest(), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_key_is_asked_for_before_a_message_is_received(tiny: Settings) -> None:
    port = free_port()
    guarded = replace(tiny, security=Security((digest("a-key-of-some-length"),)))
    for path in (INFER, STREAM):
        with narrow(guarded, port, body_seconds=9), without_message(port, path) as call:
            assert call.exception(5).code() == Code.UNAUTHENTICATED


def test_streams_are_bounded(tiny: Settings) -> None:
    port = free_port()
    with narrow(tiny, port) as server, calls(port) as stub:
        waiting: queue.Queue[Any] = queue.Queue()
        open_one = stub.ModelStreamInfer(iter(waiting.get, None), timeout=20)
        waiting.put(asked([8, 3], 24))
        assert not next(open_one).error_message
        other = stub.ModelStreamInfer(iter([asked([8, 3], 24)]), timeout=20)
        code, sentence = refusal(lambda **_: list(other))
        assert (code, "1 streams may be open" in sentence) == (Code.UNAVAILABLE, True)
        assert len(stub.ModelInfer(asked([8, 3], 24), timeout=20).outputs) == 4
        waiting.put(None)
        assert not list(open_one)
        assert len(list(stub.ModelStreamInfer(iter([asked([8, 3], 24)]), timeout=20))) == 1
        assert rejected(server) == {"memory": 1}
