"""How fast `pointcmt-serve` answers: clients of one cloud a request beside the bare `Classifier`.

    python -m benchmarks.serving [EXPORTED] [--rounds 5] [--seconds 4] [--options "--batch 8"]
                                 [--output benchmarks/results]

Without EXPORTED, a PointNet++ of the demo's size with random weights is exported. In every round
the bare classifier (batches of 32, default threads) and the server (1, 8 and 32 clients on this
machine, FP32 bytes, keep-alive) take turns, so that what else runs on the machine meets both; the
ratios are medians over the rounds. A lone request and the call beside it alternate, since a call
that rests between two others takes longer than one in a row of them. Goals: 30, 76 and 134 % of
the bare classifier at 1, 8 and 32 clients; p99 at most twice p50 at 32; a lone request at most
1 ms above the call.
"""

import argparse
import json
import os
import platform
import selectors
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pointcmt_serve import Classifier

CLIENTS = (1, 8, 32)
GOALS = {1: 0.30, 8: 0.76, 32: 1.34}
BATCH = 32
LONE, CALL = "a lone request", "a call beside it"
SERVE = "from pointcmt_serve.commands.serve import main; main()"


class Load(NamedTuple):
    """Answers a second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


def export_student(folder: Path) -> Path:
    """Export a PointNet++ of the size that the recipe `shapes` trains, with random weights."""
    import torch

    from pointcmt.checkpoint import ModelConfig, save_student
    from pointcmt.models import create_student
    from pointcmt_export.exporter import export
    from pointcmt_export.options import Grid, Options

    torch.manual_seed(0)
    sizes = {"width": 0.5, "centres": (64, 16), "neighbours": ((16,), (16,))}
    student = create_student("pointnet2-ssg", 12, **sizes).eval()
    classes = tuple(f"class {i}" for i in range(12))
    config = ModelConfig("pointnet2-ssg", sizes, classes, 512, provenance={"seed": 0})
    save_student(folder / "model", student, config)
    grid = Grid(batches=(1, 8), points=(512,))
    export(folder / "model", folder / "exported", Options(grid=grid))
    return folder / "exported"


def request_bytes(cloud: np.ndarray) -> bytes:
    raw = cloud.astype("<f4").tobytes()
    tensor = {"name": "points", "shape": list(cloud.shape), "datatype": "FP32"}
    parameters = {"binary_data_size": len(raw)}
    head = json.dumps({"inputs": [tensor | {"parameters": parameters}]}).encode()
    lines = (
        "POST /v2/models/student/infer HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {len(head) + len(raw)}",
        f"Inference-Header-Content-Length: {len(head)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + head + raw


class Connection:
    """A client that sends its next request as soon as it has its answer."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._answer = b""
        self.sent = 0.0

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.socket.sendall(self._request)

    def receive(self) -> float | None:
        """Return the seconds an answer took once it is whole."""
        self._answer += self.socket.recv(1 << 16)
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found:
            return None
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return None
        assert head.startswith(b"HTTP/1.1 200"), self._answer
        self._answer = b""
        return time.perf_counter() - self.sent

    def ask(self) -> None:
        """Send a request and wait for its answer."""
        self.send()
        while self.receive() is None:
            pass


def load(port: int, request: bytes, clients: int, seconds: float) -> Load:
    """Ask with `clients` connections for `seconds`."""
    ready = selectors.DefaultSelector()
    connections = [Connection(port, request) for _ in range(clients)]
    for connection in connections:
        ready.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    latencies: list[float] = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for key, _ in ready.select(1):
            spent = key.data.receive()
            if spent is not None:
                latencies.append(spent)
                key.data.send()
    taken = time.perf_counter() - start
    for connection in connections:
        connection.socket.close()
    p50, p99 = np.percentile(latencies, (50, 99)) * 1e3
    return Load(len(latencies) / taken, float(p50), float(p99))


def bare(run: Callable[[], object], clouds: int, seconds: float) -> Load:
    """Call the classifier again and again for `seconds`."""
    latencies: list[float] = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        run()
        latencies.append(time.perf_counter() - begin)
    taken = time.perf_counter() - start
    p50, p99 = np.percentile(latencies, (50, 99)) * 1e3
    return Load(len(latencies) * clouds / taken, float(p50), float(p99))


def alternate(acts: dict[str, Callable[[], object]], seconds: float) -> dict[str, Load]:
    """Do one of `acts` after the other, again and again for `seconds`."""
    latencies: dict[str, list[float]] = {name: [] for name in acts}
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for name, act in acts.items():
            begin = time.perf_counter()
            act()
            latencies[name].append(time.perf_counter() - begin)
    spread = {name: np.percentile(spent, (50, 99)) * 1e3 for name, spent in latencies.items()}
    return {
        name: Load(float(1 / np.mean(latencies[name])), float(p50), float(p99))
        for name, (p50, p99) in spread.items()
    }


def measure(folder: Path, options: list[str], rounds: int, seconds: float) -> list[dict[str, Load]]:
    """Return the figures of every round, by what was measured."""
    classifier = Classifier(folder, device="cpu")
    points = classifier.artefact.points
    clouds = np.random.default_rng(0).normal(size=(BATCH, points, 3)).astype(np.float32)
    request = request_bytes(clouds[0])
    command = [sys.executable, "-c", SERVE, f"student={folder}", "--port", "0", *options]
    log = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().split(":")[2].split("/")[0])
        one: dict[str, Callable[[], object]] = {
            LONE: Connection(port, request).ask,
            CALL: lambda: classifier(clouds[0]),
        }
        found = []
        for _ in range(rounds):
            figures = {"bare, batches of 32": bare(lambda: classifier(clouds), BATCH, seconds)}
            figures["bare, one cloud"] = bare(lambda: classifier(clouds[0]), 1, seconds)
            figures |= alternate(one, seconds)
            for count in CLIENTS:
                figures[f"{count} clients"] = load(port, request, count, seconds)
            found.append(figures)
        server.terminate()
    return found


def summary(found: list[dict[str, Load]]) -> dict[str, float]:
    """Return the medians that the goals speak of."""
    ratios = {
        f"rate, {count} clients / bare": float(
            np.median([r[f"{count} clients"].rate / r["bare, batches of 32"].rate for r in found])
        )
        for count in CLIENTS
    }
    spread = [r["32 clients"].p99 / r["32 clients"].p50 for r in found]
    lone = [r[LONE].p50 - r[CALL].p50 for r in found]
    return ratios | {
        "p99 / p50, 32 clients": float(np.median(spread)),
        "lone request above the call, ms": float(np.median(lone)),
    }


def table(found: list[dict[str, Load]], medians: dict[str, float], about: dict[str, object]) -> str:
    goals = {f"rate, {count} clients / bare": f"at least {goal}" for count, goal in GOALS.items()}
    goals |= {"p99 / p50, 32 clients": "at most 2", "lone request above the call, ms": "at most 1"}
    lines = ["# Serving", "", ", ".join(f"{key} {value}" for key, value in about.items()), ""]
    lines += ["| | median | goal |", "|---|---|---|"]
    lines += [f"| {name} | {value:.2f} | {goals[name]} |" for name, value in medians.items()]
    lines += ["", "| | clouds/s | p50, ms | p99, ms |", "|---|---|---|---|"]
    for name in found[0]:
        rate, p50, p99 = np.median([round_[name] for round_ in found], axis=0)
        lines.append(f"| {name} | {rate:.0f} | {p50:.2f} | {p99:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exported", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--options", default="", help="of pointcmt-serve")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        folder = asked.exported or export_student(Path(room))
        load_before = os.getloadavg()[0]
        found = measure(folder, shlex.split(asked.options), asked.rounds, asked.seconds)
    about = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "options": asked.options or "default",
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "load before": round(load_before, 1),
    }
    medians = summary(found)
    text = table(found, medians, about)
    print(text)
    if asked.output:
        rounds = [{name: load._asdict() for name, load in figures.items()} for figures in found]
        record = {"about": about, "medians": medians, "rounds": rounds}
        asked.output.mkdir(parents=True, exist_ok=True)
        (asked.output / "serving.json").write_text(json.dumps(record, indent=2) + "\n")
        (asked.output / "serving.md").write_text(text)


if __name__ == "__main__":
    main()
