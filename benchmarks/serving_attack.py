"""Hostile requests and files, and saturation, against a real `pointcmt-serve`.

    python -m benchmarks.serving_attack [--requests 10000] [--files 10000] [--minutes 10]
                                        [--pieces 99] [--output benchmarks/results]

Sends requests of damaged framing, JSON and tensors, uploads damaged files, keeps slow clients,
half-open connections and clients that never read beside them, and saturates the server while its
model's folder is replaced and, at the end, SIGTERM comes; then SIGKILL and a new start. Each piece
has a server of its own and is written as it ends: started again, the command goes on with those
that are missing, `--pieces` of them at most. Says what was answered (0: the connection ended
unanswered, -1: it hung), whether anything accepted was lost, and how the server's memory grew.
Exits with 1 if anything was 500, hung or lost.
"""

import argparse
import collections
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from tests.reference.tiny_student import METADATA, WEIGHT, tiny_model

SERVE = "from pointcmt_serve.commands.serve import main; main()"
INFER = "/v2/models/tiny/infer"
Found = dict[str, Any]
SLOW = 50  # slow clients
WORDS = (
    b"null",
    b"[]",
    b"{}",
    b"1e400",
    b"-1",
    b"NaN",
    b'"\\ud800"',
    b"true",
    b"[[[",
    b"1e30",
    b'""',
)


def drawing(seed: int) -> random.Random:
    """Return the source of all random choices."""
    return random.Random(seed)  # noqa: S311


class Server:
    """A running server and its process."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", SERVE, f"tiny={folder}", "--port", "0", "--threads", "1"]
        limits = ["--poll", "0.2", "--drain", "1", "--grace", "10", "--log-level", "error"]
        self.process = subprocess.Popen(
            [*command, *limits], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split(":")[2].split("/")[0])

    def memory(self) -> int:
        """Return the resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) // 1024

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


class Answer(NamedTuple):
    status: int
    seconds: float


def exchange(server: Server, sent: bytes) -> Answer:
    """Send one request on a connection of its own, and no more after it."""
    start = time.perf_counter()
    with server.connect() as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        except TimeoutError:
            return Answer(-1, time.perf_counter() - start)
        except ConnectionError:
            answer = b""
    while answer.startswith(b"HTTP/1.1 1"):
        answer = answer.partition(b"\r\n\r\n")[2]
    status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    return Answer(status, time.perf_counter() - start)


def good_body(draw: random.Random) -> bytes:
    points = draw.randint(2, 40)
    data = [round(draw.uniform(-9, 9), 3) for _ in range(points * 3)]
    tensor = {"name": "points", "datatype": "FP32", "shape": [points, 3], "data": data}
    return json.dumps({"inputs": [tensor], "outputs": [{"name": "labels"}]}).encode()


def post(body: bytes, *headers: str, path: str = INFER) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def damaged(text: bytes, draw: random.Random, times: int) -> bytes:
    """Change, drop, repeat or insert at random places."""
    found = bytearray(text)
    for _ in range(times):
        at = draw.randrange(len(found) + 1)
        kind = draw.randrange(5)
        if kind == 0:
            found[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del found[at : at + draw.randint(1, 30)]
        elif kind == 2:
            found[at:at] = found[max(0, at - 20) : at]
        elif kind == 3:
            found[at:at] = draw.choice(WORDS)
        else:
            found[at:at] = draw.choice((b"\r\n", b"\r\n\r\n", b":", b" ", b"\0", b","))
    return bytes(found)


def hostile_request(draw: random.Random) -> bytes:
    body = good_body(draw)
    kind = draw.randrange(5)
    if kind == 0:
        return post(damaged(body, draw, draw.randint(1, 4)))
    if kind == 1:
        return damaged(post(body), draw, draw.randint(1, 3))
    if kind == 2:
        extra = draw.choice(
            ("Transfer-Encoding: chunked", "Content-Length: 3", "Content-Encoding: gzip",
             "Expect: 100-continue", "Inference-Header-Content-Length: 99999", "Connection: close",
             "X-Request-Timeout: -1", "Accept-Encoding: gzip", "Content-Encoding: deflate")
        )  # fmt: skip
        return post(body, extra)
    if kind == 3:
        value = json.loads(body)
        tensor = value["inputs"][0]
        tensor[draw.choice(list(tensor))] = draw.choice(
            [None, [], {}, "x", -1, 1e30, True, [[]], [1e30, 0, 3], ["a"] * 9, 2**70]
        )
        return post(json.dumps(value).encode())
    raw = draw.randbytes(draw.randint(0, 200))
    tensor = {"name": "points", "datatype": draw.choice(("FP16", "FP32", "FP64", "INT8", ""))}
    tensor |= {"shape": [draw.randint(0, 9), 3], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    return post(head + raw, f"Inference-Header-Content-Length: {len(head)}")


def seeds() -> dict[str, bytes]:
    """Return a small good file of several formats."""
    cloud = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    rows = "".join("{:.4f} {:.4f} {:.4f}\n".format(*row) for row in cloud)
    with tempfile.TemporaryDirectory() as room:
        np.save(Path(room) / "a.npy", cloud)
        np.savez_compressed(Path(room) / "a.npz", points=cloud)
        npy, npz = ((Path(room) / f"a.{kind}").read_bytes() for kind in ("npy", "npz"))
    ply = "ply\nformat ascii 1.0\nelement vertex 12\n"
    ply += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n" + rows
    pcd = "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 12\nHEIGHT 1\n"
    pcd += "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 12\nDATA ascii\n" + rows
    off = "OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n"
    obj = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    texts = {"xyz": rows, "ply": ply, "pcd": pcd, "off": off, "obj": obj}
    return {"npy": npy, "npz": npz} | {kind: text.encode() for kind, text in texts.items()}


def upload(draw: random.Random, files: dict[str, bytes]) -> bytes:
    kind = draw.choice(list(files))
    content = damaged(files[kind], draw, draw.randint(0, 4))
    part = f'--b\r\nContent-Disposition: form-data; name="file"; filename="a.{kind}"\r\n\r\n'
    body = part.encode() + content + b"\r\n--b--\r\n"
    return post(body, "Content-Type: multipart/form-data; boundary=b", path="/classify")


def slow_clients(server: Server, stop: threading.Event) -> None:
    """Keep connections that drip, that are silent, and that never read."""
    many: list[socket.socket] = []
    while not stop.wait(1):
        while len(many) < SLOW:
            many.append(server.connect())
            many[-1].setblocking(False)
        for i, connection in enumerate(list(many)):
            try:
                if i % 3 == 0:
                    connection.send(b"P")
                elif i % 3 == 1:
                    connection.send(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
            except BlockingIOError:
                pass
            except OSError:
                connection.close()
                many.remove(connection)
    for connection in many:
        connection.close()


def fuzz(server: Server, requests: list[bytes], threads: int = 4) -> tuple[dict[int, int], float]:
    """Send all requests; return how often each status came, and the slowest answer's seconds."""
    waiting = collections.deque(requests)
    counts: collections.Counter[int] = collections.Counter()
    slowest = [0.0]

    def work() -> None:
        while waiting:
            try:
                sent = waiting.popleft()
            except IndexError:
                return
            answer = exchange(server, sent)
            counts[answer.status] += 1
            slowest[0] = max(slowest[0], answer.seconds)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return dict(sorted(counts.items())), slowest[0]


def write_model(folder: Path, scale: float) -> None:
    fresh = folder / "fresh.tmp"
    onnx.save(tiny_model(METADATA, WEIGHT * np.float32(scale)), fresh)
    fresh.replace(folder / "model.onnx")


def saturate(server: Server, folder: Path, seconds: float) -> Found:
    """Ask with keep-alive clients for `seconds`, replace the model meanwhile, then SIGTERM."""
    counts: collections.Counter[str] = collections.Counter()
    body = good_body(drawing(0))

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        fresh = True
        while True:
            try:
                connection.request("POST", INFER, body)
                answer = connection.getresponse()
                answer.read()
            except OSError:  # a connection that rests may end; one just made, or answering, not
                counts["lost" if fresh else "ended between requests"] += 1
                return
            counts[str(answer.status)] += 1
            fresh = False
            if answer.getheader("Connection") == "close":
                return

    clients = [threading.Thread(target=client) for _ in range(16)]
    for thread in clients:
        thread.start()
    end, scale = time.monotonic() + seconds, 1.0
    while time.monotonic() < end:
        time.sleep(min(5.0, max(0.0, end - time.monotonic())))
        scale += 1
        write_model(folder, scale)
    server.process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    code = server.process.wait(60)
    for thread in clients:
        thread.join(60)
    stopped = round(time.monotonic() - start, 1)
    return {"answers": dict(counts), "models": scale, "exit": code, "seconds to stop": stopped}


def killed_and_started(folder: Path) -> Found:
    """SIGKILL a server and start another; return whether the second answers."""
    server = Server(folder)
    server.process.kill()
    server.process.wait(20)
    again = Server(folder)
    status = exchange(again, post(good_body(drawing(0)))).status
    again.process.terminate()
    return {
        "answer of the next": status,
        "exit": again.process.wait(30),
    }


def fuzzed(folder: Path, sent: list[bytes]) -> Found:
    """Send all of it to a server beside slow clients."""
    server, stop = Server(folder), threading.Event()
    fuzz(server, [post(good_body(drawing(0)))] * 200)
    before = server.memory()
    slow = threading.Thread(target=slow_clients, args=(server, stop))
    slow.start()
    counts, slowest = fuzz(server, sent)
    after = server.memory()
    stop.set()
    slow.join()
    server.process.terminate()
    return {
        "sent": len(sent),
        "by status": {str(status): count for status, count in counts.items()},
        "slowest, s": round(slowest, 2),
        "memory before and after, MiB": [before, after],
        "exit": server.process.wait(60),
    }


def saturated(folder: Path, seconds: float) -> Found:
    server = Server(folder)
    return {"seconds": seconds} | saturate(server, folder, seconds)


def pieces(requests: int, files: int, minutes: float) -> dict[str, Callable[[Path], Found]]:
    """Return what there is to do, by name; each piece takes less than five minutes."""
    found: dict[str, Callable[[Path], Found]] = {}

    def hostile_requests(seed: int, count: int) -> list[bytes]:
        draw = drawing(seed)
        return [hostile_request(draw) for _ in range(count)]

    def uploads(seed: int, count: int) -> list[bytes]:
        draw, good = drawing(seed), seeds()
        return [upload(draw, good) for _ in range(count)]

    for i in range(0, requests, 10_000):
        count = min(10_000, requests - i)
        found[f"requests {i}"] = lambda f, i=i, n=count: fuzzed(f, hostile_requests(i, n))  # type: ignore[misc]
    for i in range(0, files, 2_500):
        count = min(2_500, files - i)
        found[f"files {i}"] = lambda f, i=i, n=count: fuzzed(f, uploads(i, n))  # type: ignore[misc]
    for i in range(math.ceil(minutes / 2.5)):
        spent = min(2.5, minutes - 2.5 * i) * 60
        found[f"saturation {i}"] = lambda f, s=spent: saturated(f, s)  # type: ignore[misc]
    return found | {"kill": killed_and_started}


def failed(found: Found) -> bool:
    """Whether a piece shows a 500, a hang, a lost answer or a bad end."""
    by_status = {**found.get("by status", {}), **found.get("answers", {})}
    return bool(found["exit"] or any(by_status.get(key) for key in ("500", "-1", "lost")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pieces", type=int, default=99)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    record = asked.output / "serving_attack.json" if asked.output else None
    found: Found = json.loads(record.read_text()) if record and record.exists() else {}
    found["cores"] = os.cpu_count()
    planned = pieces(asked.requests, asked.files, asked.minutes)
    missing = [name for name in planned if name not in found]
    for name in missing[: asked.pieces]:
        with tempfile.TemporaryDirectory() as room:
            folder = Path(room) / "tiny"
            folder.mkdir()
            write_model(folder, 1.0)
            found[name] = planned[name](folder)
        print(name, json.dumps(found[name]), flush=True)
        if record:
            record.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(any(failed(found[name]) for name in planned if name in found))


if __name__ == "__main__":
    main()
