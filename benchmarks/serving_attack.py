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
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.attack_parts.hostile import (
    INFER,
    drawing,
    good_body,
    hostile_request,
    post,
    seeds,
    upload,
)
from benchmarks.attack_parts.server import Server, exchange, fuzz, slow_clients
from tests.reference.tiny_student import METADATA, WEIGHT, tiny_model

Found = dict[str, Any]


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
