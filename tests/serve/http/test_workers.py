"""Several worker processes behind one port: signals, ends and figures."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import pytest

from pointcmt_serve.http.operations.metrics import FOLDER
from tests.serve.http.folders import wait_for
from tests.serve.http.running import INFER
from tests.serve.http.test_command import BODY, Command, get, serving

CHANGES = """
from pointcmt_serve.http.operations import Metrics
metrics = Metrics()
for version in "12":
    metrics.set_gauges(ready=True, held=0, in_flight=0, waiting={("chairs", version): 0})
print(metrics.text().decode())
"""


def workers_of(command: Command) -> set[str]:
    """The worker processes, without multiprocessing's own."""
    pid = command.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {c for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()}


def metrics_folder(worker: str) -> Path:
    """The folder in which a worker leaves its figures."""
    entries = Path(f"/proc/{worker}/environ").read_bytes().decode().split("\0")
    return Path(dict(entry.split("=", 1) for entry in entries if entry)[FOLDER])


def ready_at_last(metrics: Callable[[], bytes]) -> None:
    """Wait until the figures of the moment, taken every second, say that the server is ready."""
    end = time.monotonic() + 20
    while b"pointcmt_ready 1.0" not in metrics():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_several_workers_share_a_socket_and_one_that_dies_is_replaced(
    tiny_folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "socket"
    words = (f"tiny={tiny_folder}", "--socket", place, "--workers", 2)
    with serving(tmp_path / "log", *words) as command:
        assert command.first == f"unix:{place}/v2/models/tiny"

        def ask(path: str, body: bytes | None) -> bytes:
            connection = HTTPConnection("localhost", timeout=20)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(20)
            connection.sock.connect(str(place))
            connection.request("POST" if body else "GET", path, body)
            answer = connection.getresponse().read()
            connection.close()
            return answer

        for _ in range(4):
            assert b'"labels"' in ask(INFER, BODY)
        name = b'pointcmt_clouds_total{model="tiny"} 4.0'
        assert name in ask("/metrics", None)
        ready_at_last(lambda: ask("/metrics", None))
        before = workers_of(command)
        victim = max(before, key=int)
        folder = metrics_folder(victim)
        os.kill(int(victim), signal.SIGKILL)
        end = time.monotonic() + 20
        while not workers_of(command) - before:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert b'"labels"' in ask(INFER, BODY)
        ready_at_last(lambda: ask("/metrics", None))
        shown = {path.stem.split("_")[-1] for path in folder.glob("gauge_*")}
        assert victim not in shown
        assert b"2 workers serve here" in ask("/v2/repository/models/tiny/load", b"{}")
        assert command.stop() == 0
        assert not place.exists()


def test_a_signal_to_all_processes_leaves_the_port_open_for_the_drain(
    tiny_folder: Path, tmp_path: Path
) -> None:
    words = (f"tiny={tiny_folder}", "--port", 0, "--workers", 2, "--drain", 2)
    with serving(tmp_path / "log", *words) as command:
        assert get(command.connect(), "/v2/health/live") == 200
        time.sleep(2)  # both are there
        os.killpg(command.process.pid, signal.SIGTERM)
        time.sleep(0.8)
        assert get(command.connect(), "/v2/health/live") == 503
        assert command.process.wait(20) == 0


def test_workers_end_with_their_supervisor_and_leave_nothing(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    words = (f"tiny={tiny_folder}", "--port", 0, "--workers", 2)
    with serving(tmp_path / "log", *words) as command:
        assert get(command.connect(), "/v2/health/live") == 200
        assert list(tmp_path.glob("pointcmt-metrics-*/*.db"))
        command.process.kill()
        wait_for(lambda: refused(command.port))
        wait_for(lambda: not list(tmp_path.glob("pointcmt-metrics-*")))


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return bool(probe.connect_ex(("127.0.0.1", port)))


def test_a_version_that_is_served_no_more_is_in_no_figure(tmp_path: Path) -> None:
    environment = {**os.environ, FOLDER: str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", CHANGES]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert [line for line in ran.stdout.splitlines() if line.startswith("pointcmt_queue")] == [
        'pointcmt_queue_clouds{model="chairs",version="2"} 0.0'
    ]
