"""The command `pointcmt-serve`, as an operator runs it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pointcmt_serve.commands.serve import main
from tests.serve.http.running import GOOD, INFER

BODY = json.dumps({"inputs": [GOOD]}).encode()


class Command:
    """A running `pointcmt-serve`; `log` is what it wrote to its error stream."""

    def __init__(self, process: subprocess.Popen[str], first: str, log: Path) -> None:
        self.process = process
        self.first = first
        self._log = log
        found = re.search(r":(\d+)/", first)
        self.port = int(found[1]) if found else 0

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=20)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def serving(log: Path, *words: object, **environment: str) -> Iterator[Command]:
    command = [sys.executable, "-c", "from pointcmt_serve.commands.serve import main; main()"]
    options = ["--threads", "1", "--drain", "0", *map(str, words)]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield Command(process, process.stdout.readline().strip(), log)
        finally:
            if process.poll() is None:
                process.kill()


def post(connection: HTTPConnection, path: str = INFER) -> tuple[int, str | None]:
    connection.request("POST", path, BODY)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.getheader("Connection")


def get(connection: HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_on_sigterm_readiness_ends_at_once_and_connections_behind_their_answer(
    tiny_folder: Path, tmp_path: Path
) -> None:
    words = (f"tiny={tiny_folder}", "--port", 0, "--drain", 1)
    with serving(tmp_path / "log", *words) as command:
        assert command.first == f"http://127.0.0.1:{command.port}/v2/models/tiny"
        kept, health = command.connect(), command.connect()
        assert post(kept) == (200, None)
        assert get(health, "/v2/health/ready") == 200
        command.process.terminate()
        time.sleep(0.3)
        assert get(health, "/v2/health/ready") == 503
        assert get(command.connect(), "/v2/health/live") == 503
        assert post(kept) == (200, "close")
        assert command.process.wait(20) == 0


def test_shipped_students_are_served_by_their_names(tmp_path: Path) -> None:
    """Both are a `pointnet2-ssg`, which says nothing and would be one name for two."""
    with serving(tmp_path / "log", "modelnet40", "shapes", "--port", 0) as command:
        assert get(command.connect(), "/v2/models/modelnet40/ready") == 200
        assert get(command.connect(), "/v2/models/shapes/ready") == 200
        assert command.stop() == 0


def test_a_client_that_drips_does_not_hold_up_the_end(tiny_folder: Path, tmp_path: Path) -> None:
    words = (f"tiny={tiny_folder}", "--port", 0, "--grace", 1)
    with serving(tmp_path / "log", *words) as command:
        idle = command.connect()
        assert post(idle)[0] == 200
        with socket.create_connection(("127.0.0.1", command.port)) as dripping:
            dripping.sendall(
                f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".encode()
            )
            time.sleep(0.2)
            start = time.monotonic()
            assert command.stop() == 0
            assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "no model to serve"),
        (("{tiny}", "{tiny}"), "two models are called 'tiny'"),
        (("a/b={tiny}",), "no name for a model"),
        (("{tiny},engine",), "'engine' is none of"),
        (("{tiny},threads=many",), "no number"),
        (("x={tiny},threads=-3",), "threads is -3"),
        (("--device", "gpu", "--repository", "{tiny}"), "unknown device 'gpu'"),
        (("missing",), "missing"),
        (("--repository", "missing"), "no folder of models"),
        (("{tiny}", "--port", "9", "--grpc-port", "9"), "--port and --grpc-port are both 9"),
        (("{tiny}", "--socket", "x" * 200), "cannot be listened on (AF_UNIX path too long)"),
        (("{tiny}", "--tls-cert", "missing"), "both --tls-cert and --tls-key"),
        (("{tiny}", "--api-keys", "missing"), "cannot be read"),
    ],
)
def test_words_without_sense_are_one_sentence(
    tiny_folder: Path, words: tuple[str, ...], sentence: str
) -> None:
    result = CliRunner().invoke(main, [word.format(tiny=tiny_folder) for word in words])
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert sentence in last


def test_grpc_without_its_extra_is_one_sentence(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pointcmt_serve.http.grpc", None)
    result = CliRunner().invoke(main, [str(tiny_folder), "--port", "0", "--grpc-port", "1"])
    assert result.exit_code == 1
    assert "pip install 'pointcmt[grpc]'" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("option", ["--port", "--grpc-port"])
def test_a_port_in_use_is_one_sentence(tiny_folder: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, [str(tiny_folder), "--port", "0", option, port])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"Error: 127.0.0.1:{port} cannot be listened")


def test_no_request_is_lost_when_the_server_stops_under_load(
    tiny_folder: Path, tmp_path: Path
) -> None:
    words = (f"tiny={tiny_folder}", "--port", 0, "--drain", 0.5)
    with serving(tmp_path / "log", *words) as command:
        lost: list[str] = []
        answered = [0]

        def ask() -> None:
            """A connection a request, until none is taken any more."""
            while True:
                connection = command.connect()
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    return
                try:
                    answered[0] += post(connection)[0] == 200
                except OSError as error:
                    lost.append(repr(error))
                connection.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        while answered[0] < 20:
            assert not lost
            time.sleep(0.01)
        assert command.stop() == 0
        for thread in threads:
            thread.join()
        # A connection that is made while the port closes may be refused by a reset, no other.
        assert len(lost) <= 1


def test_grpc_listens_where_brackets_name_an_address(tiny_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
        port = free.getsockname()[1]
    words = (tiny_folder, "--host", "[::1]", "--port", 0, "--grpc-port", port)
    with serving(tmp_path / "log", *words) as command:
        assert command.first.startswith("http://[::1]:")
        end = time.monotonic() + 10
        while socket.socket(socket.AF_INET6).connect_ex(("::1", port)):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert command.stop() == 0


def test_a_server_leaves_the_socket_of_the_one_that_follows_it(
    tiny_folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "socket"
    words = (f"tiny={tiny_folder}", "--socket", place)
    with (
        serving(tmp_path / "first", *words) as first,
        socket.socket(socket.AF_UNIX) as dripping,
    ):
        dripping.connect(str(place))
        dripping.sendall(f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".encode())
        time.sleep(0.2)
        first.process.terminate()
        time.sleep(0.3)
        with serving(tmp_path / "second", *words) as second:
            assert first.process.poll() is None
            dripping.close()
            assert first.process.wait(20) == 0
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(place))
            assert second.stop() == 0
            assert not place.exists()
