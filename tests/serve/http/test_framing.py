"""Requests as bytes: what is ambiguous, cut off, slow or no HTTP at all."""

import contextlib
import json
import re
import socket
import struct
import threading
import time
from dataclasses import replace

import pytest

from pointcmt_serve.http import Settings
from pointcmt_serve.http.batching import Client
from pointcmt_serve.http.routes import people
from pointcmt_serve.http.settings import Batching
from tests.serve.http.running import GOOD, INFER, Running, received, running

BODY = json.dumps({"inputs": [GOOD]}).encode()
POST = f"POST {INFER} HTTP/1.1\r\nHost: a\r\n".encode()
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
MALFORMED = {
    "a length beside chunks": (CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "two lengths in a line": (POST + b"Content-Length: 3, 4\r\n\r\nabcd", 400),
    "a length of 5,000 digits": (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
    "a negative length": (POST + b"Content-Length: -3\r\n\r\n", 400),
    "a length with a sign": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "a space before a colon": (POST + b"Content-Length : 3\r\n\r\nabc", 400),
    "an unknown encoding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "chunks in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"\r\n0\r\n\r\n", 400),
    "a chunk without size": (CHUNKED + b"\r\nzz\r\n\r\n", 400),
    "a chunk of endless size": (CHUNKED + b"\r\n" + b"f" * 21 + b"\r\n", 400),
    "a chunk without end": (CHUNKED + b"\r\n3\r\nabcX0\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a NUL": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    "a path that is not ASCII": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "another version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "endless headers": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 99_999, 431),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
}


def status_and_error(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


def refused(server: Running, reason: str) -> float:
    """What the metrics count as refused for a reason."""
    text = server.ask("GET", "/metrics")[2].decode()
    found = re.search(rf'pointcmt_rejected_total{{reason="{reason}"}} (.*)', text)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_gets_one_sentence_and_ends_its_connection(
    server: Running, case: str
) -> None:
    sent, status = MALFORMED[case]
    before = refused(server, "framing")
    with server.connect() as connection:
        connection.sendall(sent)
        answer = received(connection)  # until the server ends the connection
    assert status_and_error(answer)[0] == status
    assert b"Connection: close" in answer
    assert re.search(rb"\r\nX-Request-Id: [0-9a-f]{32}\r\n", answer)
    assert refused(server, "framing") == before + 1


def test_a_short_body_is_refused(server: Running) -> None:
    sent = POST + f"Content-Length: {len(BODY) + 9}\r\n\r\n".encode() + BODY
    status, sentence = status_and_error(server.raw(sent, half_close=True))
    assert (status, "shorter" in sentence) == (400, True)


def test_a_half_closed_client_is_answered(server: Running) -> None:
    sent = POST + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    assert b"HTTP/1.1 200 OK" in server.raw(sent, half_close=True)


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_body_that_nobody_wants_leaves_the_connection_usable(
    server: Running, method: str
) -> None:
    first = f"{method} /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n".encode() + b"x" * 40
    answer = server.raw(first + b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b'{"live":true}' in answer


def test_a_request_may_name_the_whole_address(server: Running) -> None:
    answer = server.raw(b"GET http://a:80/v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b'{"live":true}' in answer


@pytest.mark.parametrize("before", [(b"\r\n",), (b"\n\r\n",), (b"\r", b"\n")])
def test_empty_lines_before_a_request_are_passed_over(
    server: Running, before: tuple[bytes, ...]
) -> None:
    question = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    with server.connect() as connection:
        for part in (question, *before, question):
            connection.sendall(part)
            time.sleep(0.01)
        connection.shutdown(socket.SHUT_WR)
        answer = received(connection)
    assert answer.count(b'{"live":true}') == 2


@pytest.mark.parametrize("between", [b"\r\n", b"\n", b"\r\n\r\n"])
@pytest.mark.parametrize("together", [True, False])
def test_empty_lines_behind_a_body_are_passed_over(
    server: Running, between: bytes, together: bool
) -> None:
    """Some clients end a body with a line's end that its length does not count."""
    question = POST + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    parts = (question + between + question,) if together else (question + between, question)
    with server.connect() as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.01)
        connection.shutdown(socket.SHUT_WR)
        answer = received(connection)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b"HTTP/1.1 4" not in answer


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    one = b"GET /v2/%b HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = server.raw(b"".join(one % path for path in (b"health/live", b"x", b"health/ready")))
    places = [answer.index(text) for text in (b'"live"', b'"error"', b'"ready"')]
    assert places == sorted(places)


def test_hundreds_of_pipelined_requests_are_answered_and_a_bad_one_after_the_good(
    server: Running,
) -> None:
    one, count = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n", 500
    bad = b"GET / HTTP/1.1\r\n\r\n"
    with server.connect() as connection:
        sender = threading.Thread(target=connection.sendall, args=(one * count + bad,))
        sender.start()
        answer = received(connection)
        sender.join()
    assert answer.count(b'{"live":true}') == answer.count(b"HTTP/1.1 200 ") == count
    assert answer.index(b"HTTP/1.1 400 ") > answer.rindex(b"HTTP/1.1 200 ")


def test_what_is_sent_behind_a_request_under_way_is_not_taken_in(tiny: Settings) -> None:
    """A client cannot fill the memory with requests whose turn has not come."""
    one = POST + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    waiting = Batching(size=2, delay=2.0)
    with running(replace(tiny, batching=waiting)) as slow, slow.connect() as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.sendall(one * 100_000)
        (ours,) = slow.server.server_state.connections
        assert len(ours.conn.trailing_data[0]) < 1 << 20


def test_connections_are_told_apart_without_an_address(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a socket file nobody has one, and a turn goes to each connection."""
    served, seen = server.service.models.get("tiny"), []
    run = served.run

    async def noted(clouds: object, vertical: object, client: Client, seconds: float) -> object:
        seen.append(client.connection)
        return await run(clouds, vertical, client, seconds)  # type: ignore[arg-type]

    monkeypatch.setattr(served, "run", noted)
    sent = POST + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    for times in (2, 1):
        server.raw(sent * times)
    assert (seen[0] == seen[1], seen[1] == seen[2]) == (True, False)


def test_an_offered_upgrade_is_passed_over(server: Running) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    sent = POST + offer + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    live = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n" + offer + b"\r\n"
    answer = server.raw(sent + live + sent + live)
    assert answer.count(b"HTTP/1.1 200 ") == 4
    assert answer.count(b'{"live":true}') == 2


def test_a_body_beyond_the_limit_is_refused_unread(server: Running) -> None:
    start = time.monotonic()
    answer = server.raw(POST + f"Content-Length: {10**12}\r\n\r\n".encode())
    assert status_and_error(answer)[0] == 413
    assert time.monotonic() - start < 2


def test_a_chunked_body_beyond_the_limit_is_refused(server: Running) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert status_and_error(server.raw(CHUNKED + b"\r\n" + chunk * 4, quiet=2))[0] == 413


def test_who_waits_for_100_is_told_to_continue_or_refused_at_once(server: Running) -> None:
    expect = POST + b"Expect: 100-continue\r\n"
    with server.connect() as connection:
        connection.sendall(expect + f"Content-Length: {len(BODY)}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    answer = server.raw(expect + b"Content-Length: 999999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", POST + b"Content-Length: 90\r\n\r\n{"], ids=["none", "head", "body"]
)
def test_a_client_that_drips_is_told_and_ended(server: Running, sent: bytes) -> None:
    before = refused(server, "slow")
    with server.connect() as connection:
        connection.sendall(sent)
        start = time.monotonic()
        status, _ = status_and_error(received(connection))
    assert status == 408
    assert refused(server, "slow") == before + 1
    assert 0.5 < time.monotonic() - start < 5


def test_bytes_after_an_answer_do_not_keep_a_connection_for_ever(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\nGET / HT")
        start = time.monotonic()
        answer = received(connection)
    assert b" 200 OK" in answer
    assert b" 408 " in answer
    assert time.monotonic() - start < 5


def test_a_body_does_not_wait_for_the_acknowledgement_of_its_head(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.recv(1000)
        ours = [
            c.transport.get_extra_info("socket") for c in server.server.server_state.connections
        ]
        assert ours
        assert all(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in ours)


def test_a_client_that_resets_leaves_the_server_working(server: Running) -> None:
    for _ in range(20):
        connection = server.connect()
        connection.sendall(POST + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert server.infer({"inputs": [GOOD]})[0] == 200


@pytest.mark.parametrize("parts", [1, 2, 50])
def test_the_limit_on_headers_holds_however_they_are_cut(server: Running, parts: int) -> None:
    many = "".join(f"X-{i}: {'a' * 20}\r\n" for i in range(1500))
    for more in (f"X-Large: {'a' * 40_000}\r\n", many):
        sent = f"GET /v2 HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode()
        with server.connect() as connection:
            step = -(-len(sent) // parts)
            with contextlib.suppress(ConnectionError):
                for start in range(0, len(sent), step):
                    connection.sendall(sent[start : start + step])
                    time.sleep(0.001)
            assert connection.recv(100).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_reads_slowly_and_steadily_gets_all(
    tiny: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {"large": "a" * 12_000_000}  # more than the buffers between them hold
    monkeypatch.setattr(people, "openapi", lambda: large)
    limits = replace(tiny.limits, write_seconds=0.3)
    with running(replace(tiny, limits=limits)) as server, server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**17)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        size, end = 0, time.monotonic() + 1.5  # five times as long as one may not read
        while chunk := connection.recv(2**16):
            size += len(chunk)
            if time.monotonic() < end:
                time.sleep(0.02)
    assert size > len(large["large"])


def send_for_ever(connection: socket.socket, what: bytes) -> None:
    """Until both sides' buffers are full, and the server has had enough."""
    while True:
        connection.sendall(what)


def test_a_client_that_never_reads_is_ended(server: Running) -> None:
    one = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
    with server.connect() as connection:
        connection.settimeout(10)
        with pytest.raises(ConnectionError):
            send_for_ever(connection, one * 100)
    assert server.infer({"inputs": [GOOD]})[0] == 200
