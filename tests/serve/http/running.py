"""A server in a thread of the test process, and the ways tests ask it."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from typing import Any

import numpy as np
import uvicorn
from numpy.typing import NDArray

from pointcmt_serve.http import Settings, create_app
from pointcmt_serve.http.service import Service
from pointcmt_serve.http.transport.connection import Connection
from pointcmt_serve.http.transport.server import Server

INFER = "/v2/models/tiny/infer"
Answer = tuple[int, dict[str, str], bytes]


class Running:
    """A server that answers on a port of the loopback interface."""

    def __init__(self, port: int, service: Service, server: Server) -> None:
        self.port = port
        self.service = service
        self.server = server

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        sent = None if body is None else json.dumps(body).encode()
        status, _, answer = self.ask(method, path, sent, headers)
        return status, json.loads(answer)

    def infer(self, request: object, path: str = INFER) -> tuple[int, Any]:
        return self.json("POST", path, request)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def raw(self, sent: bytes, half_close: bool = False, quiet: float = 0.3) -> bytes:
        """Send bytes as they are and return all that comes until the server ends or is quiet."""
        with self.connect() as connection:
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(quiet)
            return received(connection)


def received(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while chunk := connection.recv(65536):
            answer += chunk
    except (TimeoutError, ConnectionError):
        pass
    return answer


@contextmanager
def running(settings: Settings, drain: float = 0.0, grace: int = 5) -> Iterator[Running]:
    service = Service(settings)
    service.models.start()
    bound = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = uvicorn.Config(
        create_app(settings, service),
        http=partial(Connection, limits=settings.limits, metrics=service.metrics),  # type: ignore[arg-type]
        lifespan="on",
        log_config=None,
        timeout_keep_alive=round(settings.limits.idle_seconds),
        timeout_graceful_shutdown=grace,
    )
    server = Server(config, service.lifecycle, drain)
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        yield Running(bound.getsockname()[1], service, server)
    finally:
        server.should_exit = True
        thread.join(20)
        bound.close()
    assert not thread.is_alive()


def multipart(fields: dict[str, str], files: dict[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A form as a browser sends it: its body and headers."""
    parts = [f'form-data; name="{name}"\r\n\r\n{text}'.encode() for name, text in fields.items()]
    for name, content in files.items():
        head = f'form-data; name="file"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + content)
    body = b"".join(b"--b\r\nContent-Disposition: " + part + b"\r\n" for part in parts)
    return body + b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


def points_input(clouds: NDArray[Any], datatype: str = "FP32") -> dict[str, Any]:
    data = clouds.ravel().tolist()
    return {"name": "points", "shape": list(clouds.shape), "datatype": datatype, "data": data}


def outputs(answer: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {o["name"]: np.array(o["data"]).reshape(o["shape"]) for o in answer["outputs"]}


CLOUD = np.random.default_rng(0).normal(size=(8, 3))
GOOD = points_input(CLOUD)
