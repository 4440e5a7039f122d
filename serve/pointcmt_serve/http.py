"""A small HTTP server that speaks the Open Inference Protocol, version 2, with the stdlib."""

import json
import logging
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pointcmt import __version__
from pointcmt.errors import InputError
from pointcmt_serve.classifier import Classifier
from pointcmt_serve.protocol import metadata, read_request, write_response

VERSION = "1"  # of the served model
IDLE_SECONDS = 10  # after which a silent connection is closed
JSON_LENGTH = "Inference-Header-Content-Length"

_log = logging.getLogger(__name__)


class HttpError(Exception):
    """A request that is answered with an error status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ModelServer(ThreadingHTTPServer):
    """Serves one classifier; a thread a connection, a bounded number of inferences at once.

    Attributes:
        classifier: what answers.
        name: what clients call the model.
        largest_body: bytes a request may have.
        slots: how many more requests may be classified now.
    """

    daemon_threads = False
    block_on_close = True  # requests under way are answered before the server is gone
    request_queue_size = 128  # connections that may wait to be accepted

    def __init__(
        self,
        address: tuple[str, int],
        classifier: Classifier,
        name: str,
        *,
        largest_body: int = 64 * 2**20,
        concurrent: int = 8,
    ) -> None:
        self.classifier = classifier
        self.name = name
        self.largest_body = largest_body
        self.slots = threading.BoundedSemaphore(concurrent)
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a connection that broke off, in one line."""
        _log.warning("%s: the connection broke: %r", client_address[0], sys.exception())


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: ModelServer
    protocol_version = "HTTP/1.1"
    server_version = f"pointcmt/{__version__}"
    timeout = IDLE_SECONDS
    # Headers and body leave in one packet at once; in two, each answer waits 40 ms for an ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a question about the server or its model."""
        self._answer(self._describe)

    def do_POST(self) -> None:
        """Answer an inference request."""
        self._answer(self._infer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log a request through `logging`."""
        _log.info("%s %s", self.address_string(), format % args)

    def _answer(self, handle: Any) -> None:
        try:
            body, json_length = handle()
            self._send(HTTPStatus.OK, body, json_length)
        except HttpError as error:
            self._refuse(error.status, str(error))
        except InputError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except TimeoutError:
            self.close_connection = True
        except Exception:
            _log.exception("a request failed")
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed; see its log")

    def _describe(self) -> tuple[bytes, None]:
        parts = self._parts()
        if parts == ["v2"]:
            answer: dict[str, Any] = {
                "name": "pointcmt",
                "version": __version__,
                "extensions": ["binary_tensor_data"],
            }
        elif parts in (["v2", "health", "live"], ["v2", "health", "ready"]):
            answer = {parts[-1]: True}
        elif self._model(parts) == ["ready"]:
            answer = {"name": self.server.name, "ready": True}
        elif self._model(parts) == []:
            classes = len(self.server.classifier.classes)
            answer = metadata(self.server.name, VERSION, classes)
        else:
            raise HttpError(HTTPStatus.NOT_FOUND, f"there is no {self.path}")
        return json.dumps(answer).encode(), None

    def _infer(self) -> tuple[bytes, int | None]:
        body = self._body()
        if self._model(self._parts()) != ["infer"]:
            raise HttpError(HTTPStatus.NOT_FOUND, f"there is no {self.path} to post to")
        request = read_request(body, self._number(JSON_LENGTH))
        if not self.server.slots.acquire(timeout=IDLE_SECONDS):
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "the server is busy; try again later")
        try:
            predictions = self.server.classifier(request.points)
        finally:
            self.server.slots.release()
        return write_response(request, predictions, self.server.name, VERSION)

    def _parts(self) -> list[str]:
        return self.path.split("?")[0].strip("/").split("/")

    def _model(self, parts: list[str]) -> list[str] | None:
        """Return what follows /v2/models/NAME[/versions/1] in a path, or None."""
        if parts[:3] != ["v2", "models", self.server.name]:
            return None
        rest = parts[3:]
        if rest[:1] != ["versions"]:
            return rest
        return rest[2:] if rest[1:2] == [VERSION] else None

    def _body(self) -> bytes:
        length = self._number("Content-Length")
        if length is None:
            self.close_connection = True
            raise HttpError(HTTPStatus.LENGTH_REQUIRED, "the request has no Content-Length")
        if length > self.server.largest_body:
            self.close_connection = True  # the body stays unread
            raise HttpError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request has {length} bytes; at most {self.server.largest_body} are read",
            )
        return self.rfile.read(length)

    def _number(self, header: str) -> int | None:
        text = self.headers.get(header)
        if text is not None and not (text.isascii() and text.isdigit()):
            self.close_connection = True
            raise HttpError(HTTPStatus.BAD_REQUEST, f"the header {header} is {text!r}, no number")
        return None if text is None else int(text)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self._send(status, json.dumps({"error": sentence}).encode(), None)

    def _send(self, status: HTTPStatus, body: bytes, json_length: int | None) -> None:
        self.send_response(status)
        kind = "application/json" if json_length is None else "application/octet-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if json_length is not None:
            self.send_header(JSON_LENGTH, str(json_length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
