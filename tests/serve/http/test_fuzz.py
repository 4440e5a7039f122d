"""Some hundreds of damaged requests and uploads; `benchmarks/serving_attack.py` sends thousands."""

import random

import pytest

from benchmarks.attack_parts.hostile import drawing, hostile_request, seeds, upload
from tests.serve.http.running import GOOD, Running

ALLOWED = {200, 400, 404, 405, 408, 411, 413, 415, 431, 501, 505}


@pytest.fixture(scope="module")
def draw() -> random.Random:
    return drawing(1)


def statuses(answer: bytes) -> set[int]:
    """The statuses of all final answers in what came; an interim one (100) is none."""
    lines = [line for line in answer.split(b"\r\n") if b"HTTP/1.1 " in line]
    found = {int(line.split(b"HTTP/1.1 ")[1][:3]) for line in lines if b'"error"' not in line}
    return found - {100}


def test_no_request_brings_the_server_down(server: Running, draw: random.Random) -> None:
    seen: set[int] = set()
    for _ in range(300):
        sent = hostile_request(draw)
        found = statuses(server.raw(sent, half_close=True, quiet=5))
        assert found <= ALLOWED, sent
        seen |= found
    assert {200, 400} <= seen
    assert server.infer({"inputs": [GOOD]})[0] == 200
    assert server.service.budget.held == 0


def test_no_file_brings_the_server_down(server: Running, draw: random.Random) -> None:
    files = seeds()
    for _ in range(40):
        found = statuses(server.raw(upload(draw, files), half_close=True, quiet=20))
        assert found <= ALLOWED
    assert server.infer({"inputs": [GOOD]})[0] == 200
