"""A loopback HTTP server whose paths misbehave, each in one way that real hosts have shown."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Faults:
    """What the server holds and how it answers; tests change the attributes.

    `faults` maps a path to a list of behaviours, one for each coming request; when the list is
    used up the path answers properly. `seen` lists (path, Range header) of all requests.
    """

    def __init__(self, body):
        self.body = body
        self.tag = '"v1"'
        self.faults = {}
        self.seen = []
        self.sent = 0
        self.release = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        state = self.server.state
        state.seen.append((self.path, self.headers.get("Range")))
        queue = state.faults.get(self.path, [])
        fault = queue.pop(0) if queue else "proper"
        self.close_connection = True
        getattr(self, f"answer_{fault.partition(':')[0]}")(state, fault.partition(":")[2])

    def send(self, status, body, length=None, kind="application/zip", **headers):
        self.send_response(status)
        if length != "none":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        try:
            self.wfile.write(body)
            self.server.state.sent += len(body)
        except OSError:
            pass

    def span(self, state):
        """Status, first byte and headers of a proper answer to this request."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if not wanted or self.headers.get("If-Range") != state.tag:
            return 200, 0, {"ETag": state.tag}
        start, size = int(wanted[1]), len(state.body)
        if start >= size:
            return 416, size, {"Content_Range": f"bytes */{size}"}
        return 206, start, {"ETag": state.tag, "Content_Range": f"bytes {start}-{size - 1}/{size}"}

    def answer_proper(self, state, _):
        status, start, headers = self.span(state)
        self.send(status, state.body[start:], **headers)

    def answer_cut(self, state, count):
        """Close the connection after `count` bytes of the promised ones."""
        status, start, headers = self.span(state)
        rest = state.body[start:]
        self.send(status, rest[: int(count)], length=len(rest), **headers)

    def answer_stall(self, state, count):
        """Send `count` bytes and then nothing, with the connection open."""
        self.answer_cut(state, count)
        self.wfile.flush()
        state.release.wait(60)

    def answer_plain(self, state, count):
        """Know neither ranges nor entity tags; cut after `count` bytes if given."""
        self.send(200, state.body[: int(count or len(state.body))], length=len(state.body))

    def answer_longer(self, state, extra):
        """Promise more bytes than there are."""
        status, start, headers = self.span(state)
        self.send(status, state.body[start:], len(state.body) - start + int(extra), **headers)

    def answer_shorter(self, state, missing):
        """Promise fewer bytes than are sent."""
        self.send(200, state.body, len(state.body) - int(missing))

    def answer_wrong(self, state, _):
        """Send other bytes of the same length."""
        self.send(200, bytes(len(state.body)))

    def answer_misplaced(self, state, _):
        """Resume at another byte than was asked for."""
        size = len(state.body)
        self.send(206, state.body[7:], ETag=state.tag, Content_Range=f"bytes 7-{size - 1}/{size}")

    def answer_muddled(self, state, _):
        """Say that it resumes where asked, but send bytes from elsewhere."""
        _, start, headers = self.span(state)
        self.send(206, bytes(len(state.body) - start), **headers)

    def answer_page(self, _state, kind):
        self.send(200, b"<!DOCTYPE html><html>Please log in</html>", kind=kind or "text/html")

    def answer_status(self, _state, code):
        self.send(int(code), b"", **({"Retry_After": "7"} if code == "503" else {}))

    def answer_endless(self, state, _):
        """No length, and far too many bytes."""
        self.send(200, state.body * 50, length="none")

    def answer_moved(self, _state, where):
        self.send(302, b"", Location=where)


@contextmanager
def serve(body):
    """Yield (base address, Faults) of a server on the loopback interface."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.state = Faults(body)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.state
    finally:
        server.state.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
