"""What an operator sees and sets: health, metrics, logs, keys, limits."""

import gc
import hashlib
import json
import logging
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pointcmt_serve.http import Security, Settings
from pointcmt_serve.http.operations import Lifecycle
from pointcmt_serve.http.operations.access import JsonLines
from tests.serve.http.running import CLOUD, GOOD, INFER, Running, points_input, running

KEY = "a-key-of-some-length"


@pytest.fixture(scope="module")
def guarded(tiny: Settings) -> Iterator[Running]:
    """A server that asks for a key, and lets one origin in."""
    keys = (hashlib.sha256(b"another-key-entirely").digest(), hashlib.sha256(KEY.encode()).digest())
    security = Security(keys, ("https://example.org",))
    with running(replace(tiny, security=security)) as found:
        yield found


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {KEY}"}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer {KEY}"}, 200),
        ({"X-API-Key": KEY}, 200),
        ({"X-API-Key": KEY + "x"}, 401),
    ],
)
def test_a_key_is_asked_for(guarded: Running, headers: dict[str, str], status: int) -> None:
    body = json.dumps({"inputs": [GOOD]}).encode()
    found, answered, answer = guarded.ask("POST", INFER, body, headers)
    assert found == status
    if status == 401:
        assert answered["www-authenticate"].startswith("Bearer")
        assert list(json.loads(answer)) == ["error"]


def test_health_and_the_page_are_open(guarded: Running) -> None:
    open_paths = ("/", "/page.js", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready")
    assert [guarded.ask("GET", path)[0] for path in open_paths] == [200] * 6
    closed = ("/metrics", "/v2", "/v2/models/tiny", "/nothing")
    assert [guarded.ask("GET", path)[0] for path in closed] == [401] * 4


def test_the_metrics_may_be_opened(tiny: Settings) -> None:
    security = Security((hashlib.sha256(KEY.encode()).digest(),), open_metrics=True)
    with running(replace(tiny, security=security)) as server:
        assert [server.ask("GET", path)[0] for path in ("/metrics", "/v2")] == [200, 401]


def test_only_a_named_origin_may_ask(guarded: Running, server: Running) -> None:
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    _, headers, _ = guarded.ask("OPTIONS", INFER, None, asked)
    assert headers["access-control-allow-origin"] == "https://example.org"
    for running_, origin in ((guarded, "https://evil.example"), (server, "https://example.org")):
        _, headers, _ = running_.ask("OPTIONS", INFER, None, asked | {"Origin": origin})
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/x", 404),
        ("GET", "/v2/../etc/passwd", 404),
        ("GET", "/%00%ff", 404),
        ("GET", INFER, 405),
        ("PUT", INFER, 405),
        ("BREW", "/v2", 405),
        ("POST", "/v2/health/live", 405),
        ("OPTIONS", INFER, 204),
        ("HEAD", "/v2", 200),
        ("HEAD", "/nothing", 404),
    ],
)
def test_every_method_and_status_is_answered_in_json(
    server: Running, method: str, path: str, status: int
) -> None:
    found, headers, answer = server.ask(method, path)
    assert found == status
    if status in (405, 204):
        assert headers["allow"]
    if status >= 400 and method != "HEAD":
        assert headers["content-type"] == "application/json"
        assert list(json.loads(answer)) == ["error"]
    if method == "HEAD":
        assert answer == b""


def test_metrics_count_requests_stages_and_rejections(server: Running) -> None:
    server.infer({"inputs": [points_input(np.stack([CLOUD] * 3))]})
    server.infer({"inputs": []})
    _, headers, text = server.ask("GET", "/metrics")
    assert headers["content-type"].startswith("text/plain")
    figures = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if line[0] != "#")
    route = 'method="POST",route="/v2/models/{name}/infer"'
    assert float(figures[f'pointcmt_requests_total{{{route},status="200"}}']) >= 1
    assert float(figures['pointcmt_rejected_total{reason="bad_request"}']) >= 1
    assert float(figures['pointcmt_clouds_total{model="tiny"}']) >= 3
    for stage in ("queue", "preparation", "network"):
        name = f'pointcmt_stage_seconds_count{{model="tiny",stage="{stage}"}}'
        assert float(figures[name]) >= 1
    assert float(figures["pointcmt_ready"]) == 1
    assert float(figures["pointcmt_held_bytes"]) == 0
    assert float(figures["pointcmt_in_flight"]) == 1  # this one


def test_statistics_have_tritons_form(server: Running) -> None:
    server.infer({"inputs": [points_input(np.stack([CLOUD] * 3))]})
    _, answer = server.json("GET", "/v2/models/tiny/stats")
    (known,) = answer["model_stats"]
    assert known["inference_count"] >= 3
    assert known["inference_stats"]["success"]["count"] >= 1
    assert known["inference_stats"]["compute_infer"]["ns"] > 0
    assert server.json("GET", "/v2/models/stats")[1] == answer


def test_every_request_that_fails_behind_its_model_is_counted_as_failed(server: Running) -> None:
    def counts() -> list[int]:
        _, answer = server.json("GET", "/v2/models/tiny/stats")
        (known,) = answer["model_stats"]
        return [known["inference_stats"]["fail"]["count"], known["execution_count"]]

    before = counts()
    broken = points_input(np.full((1, *CLOUD.shape), np.nan))
    for request in ({"inputs": [broken]}, {"inputs": []}, {"inputs": [{**GOOD, "shape": [1, 2]}]}):
        assert server.infer(request)[0] == 400
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [3, 0]


def test_a_request_id_is_kept_or_made(server: Running) -> None:
    assert server.ask("GET", "/v2", None, {"X-Request-Id": "abc-1"})[1]["x-request-id"] == "abc-1"
    for odd in ("a b", "x" * 200):
        made = server.ask("GET", "/v2", None, {"X-Request-Id": odd})[1]["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", made)


def test_a_request_is_one_line_that_no_client_can_break(
    server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pointcmt.access")
    server.ask("GET", "/a%1b[31m%0d%0aforged%00")
    body, start = json.dumps({"inputs": [GOOD]}).encode(), time.monotonic()
    answer = server.ask("POST", INFER, body)[2]
    milliseconds = 1000 * (time.monotonic() - start)
    time.sleep(0.1)  # a line is written behind the answer
    lines = [JsonLines().format(record) for record in caplog.records]
    assert all(32 <= ord(character) < 127 for line in lines for character in line)
    first, second = (json.loads(line) for line in lines[-2:])
    assert (first["path"], first["status"]) == ("/a\x1b[31m\r\nforged\x00", 404)
    assert (second["model"], second["clouds"], second["status"]) == ("tiny", 1, 200)
    assert (second["received"], second["sent"]) == (len(body), len(answer))
    assert 0 < second["milliseconds"] < 100 * milliseconds  # no other unit


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", ""])
def test_an_odd_deadline_is_refused(server: Running, value: str) -> None:
    status, answer = server.json("POST", INFER, {"inputs": [GOOD]}, {"X-Request-Timeout": value})
    assert (status, "X-Request-Timeout" in answer["error"]) == (400, True)


@pytest.mark.parametrize("by", ["header", "parameter", "the lesser"])
def test_a_deadline_is_kept(server: Running, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served = server.service.models.get("tiny")
    slow = threading.Event()
    monkeypatch.setattr(served.classifier, "predict", lambda *_: slow.wait(5) and [])
    header = {"header": "0.1", "the lesser": "9"}.get(by)
    headers = {} if header is None else {"X-Request-Timeout": header}
    parameters = {} if by == "header" else {"timeout": 100_000}
    start = time.monotonic()
    status, answer = server.json(
        "POST", INFER, {"inputs": [GOOD], "parameters": parameters}, headers
    )
    slow.set()
    assert (status, "0.1 s" in answer["error"]) == (504, True)
    assert time.monotonic() - start < 3


def test_the_clouds_of_a_client_that_is_gone_are_forgotten(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = server.service.models.get("tiny")
    gate, predict = threading.Event(), served.classifier.predict
    monkeypatch.setattr(served.classifier, "predict", lambda *a: gate.wait(5) and predict(*a))
    body = json.dumps({"inputs": [points_input(np.stack([CLOUD] * 90))]}).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with server.connect() as connection:
        connection.sendall(head + body)
        end = time.monotonic() + 5
        while served.waiting < 50:
            assert time.monotonic() < end
            time.sleep(0.01)
    while served.waiting:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert not gate.is_set()
    gate.set()


def test_grpc_has_what_is_left_of_the_grace() -> None:
    now = time.monotonic()
    assert Lifecycle().left(30) == 30
    assert Lifecycle(end=now + 9).left(30) == pytest.approx(9, abs=2)
    assert Lifecycle(end=now - 9).left(30) == 0


def test_a_request_that_the_grace_cuts_off_is_told_so(
    tiny: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()
    with running(tiny, grace=1) as server, ThreadPoolExecutor(1) as asking:
        served = server.service.models.get("tiny")
        monkeypatch.setattr(served.classifier, "predict", lambda *_: gate.wait(5) and [])
        body = json.dumps({"inputs": [GOOD]}).encode()
        answer = asking.submit(server.ask, "POST", INFER, body)
        end = time.monotonic() + 5
        while not server.service.in_flight:
            assert time.monotonic() < end
            time.sleep(0.01)
        server.server.handle_exit(signal.SIGTERM, None)
        status, headers, sentence = answer.result(10)
        gate.set()
    assert (status, headers["retry-after"]) == (503, "1")
    assert json.loads(sentence) == {"error": "the server is stopping"}
    assert "ASGI" not in caplog.text


def test_a_failure_inside_is_no_blank_page(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(server.service.models.get("tiny").classifier, "predict", fail)
    status, answer = server.infer({"inputs": [GOOD]})
    assert status == 500
    assert "secret" not in answer["error"]


def test_bodies_together_are_bounded(tiny: Settings) -> None:
    limits = replace(tiny.limits, memory=300_000)
    with running(replace(tiny, limits=limits)) as server:
        head = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 190000\r\n\r\n".encode()
        with server.connect() as one, server.connect() as two:
            one.sendall(head + b" " * 180_000)
            time.sleep(0.2)
            two.sendall(head + b" " * 180_000)
            answer = two.recv(500)
            assert b" 503 " in answer
            assert b"retry-after: 1" in answer
            one.shutdown(socket.SHUT_RDWR)
        time.sleep(0.1)
        assert server.service.budget.held == 0
        assert server.infer({"inputs": [GOOD]})[0] == 200


def test_what_the_memory_never_holds_is_not_told_to_try_again(tiny: Settings) -> None:
    limits = replace(tiny.limits, memory=100_000)
    with running(replace(tiny, limits=limits)) as server:
        status, headers, answer = server.ask("POST", INFER, b" " * 150_000)
        assert (status, "retry-after" in headers) == (413, False)
        assert b"--max-memory" in answer
        assert server.infer({"inputs": [GOOD]})[0] == 200


def test_connections_are_bounded(tiny: Settings) -> None:
    limits = replace(tiny.limits, connections=3)
    with running(replace(tiny, limits=limits)) as server:
        open_ones = [server.connect() for _ in range(3)]
        for connection in open_ones:
            connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.recv(1000)
        answer = server.raw(b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 503 " in answer
        assert b"Retry-After" in answer
        open_ones[0].close()
        time.sleep(0.1)
        assert server.ask("GET", "/v2")[0] == 200
        assert b'rejected_total{reason="connections"} 1.0' in server.ask("GET", "/metrics")[2]
        for connection in open_ones:
            connection.close()


def test_a_hostile_body_holds_up_nobody(tiny: Settings) -> None:
    """Of 8 MB of `[],`, which a parser would make a quarter of a gigabyte of objects of."""
    limits = replace(tiny.limits, body=2**23, body_seconds=20)
    body = b'{"inputs": [{"name": "points", "datatype": "FP32", "shape": [9, 3], "data": ['
    body += b"[]," * (2**23 // 3 - 100) + b"[]]}]}"
    with running(replace(tiny, limits=limits)) as server:
        import resource

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        thread = threading.Thread(target=server.ask, args=("POST", INFER, body))
        thread.start()
        slowest = 0.0
        while thread.is_alive():
            start = time.monotonic()
            assert server.ask("GET", "/v2/health/live")[0] == 200
            slowest = max(slowest, time.monotonic() - start)
        thread.join()
        gc.collect()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert slowest < 2
    assert grown < 100_000  # KiB


def test_keys_come_from_a_file_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pointcmt.errors import InputError
    from pointcmt_serve.http.security import digest, read_keys

    (tmp_path / "keys").write_text(f"# whose\n{KEY}\n\n")
    monkeypatch.setenv("POINTCMT_API_KEYS", "one-more-key-of-length")
    assert read_keys(tmp_path / "keys") == (digest("one-more-key-of-length"), digest(KEY))
    (tmp_path / "keys").write_text(f"  # the keys of team A\n{KEY}\n", encoding="utf-8-sig")
    assert read_keys(tmp_path / "keys")[1:] == (digest(KEY),)
    (tmp_path / "keys").write_text(f"{KEY}\n", encoding="utf-8-sig")
    assert read_keys(tmp_path / "keys")[1:] == (digest(KEY),)
    (tmp_path / "keys").write_text("ein-schl\u00fcssel-mit-umlaut\n", encoding="utf-8")
    with pytest.raises(InputError, match="other than ASCII"):
        read_keys(tmp_path / "keys")
    (tmp_path / "keys").write_text("short\n")
    with pytest.raises(InputError, match="shorter than"):
        read_keys(tmp_path / "keys")
    monkeypatch.setenv("POINTCMT_API_KEYS", " , ")
    with pytest.raises(InputError, match="POINTCMT_API_KEYS is set and holds no API key"):
        read_keys(None)
    (tmp_path / "keys").write_text("# none\n")
    monkeypatch.delenv("POINTCMT_API_KEYS")
    with pytest.raises(InputError, match="holds no API key"):
        read_keys(tmp_path / "keys")
