"""A real server, and clients that mean no good."""

import collections
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

SERVE = "from pointcmt_serve.commands.serve import main; main()"
SLOW = 50  # slow clients


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
