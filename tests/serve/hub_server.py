"""A small Hugging Face hub on this machine: takes one commit a push, gives files by revision."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = 100_000  # bytes; from there on a file's ETag is its sha256, as the hub's is


class Hub:
    """Repositories in memory: revision -> file -> content; every push is a new commit.

    Attributes:
        url: for HF_ENDPOINT.
        revisions: by name or commit.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.revisions: dict[str, dict[str, bytes]] = {}

    def commit(self, files: dict[str, bytes], name: str = "main") -> str:
        joined = b"".join(path.encode() + content for path, content in sorted(files.items()))
        commit = hashlib.sha1(joined, usedforsecurity=False).hexdigest()
        self.revisions[name] = self.revisions[commit] = files
        return commit

    def commit_of(self, revision: str) -> str | None:
        files = self.revisions.get(revision)
        return next((k for k, v in self.revisions.items() if v is files and len(k) == 40), None)


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            self._json({"url": f"{self.hub.url}/owner/name", "name": "owner/name"})
        elif self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            told = [{"path": f["path"], "uploadMode": "regular"} for f in files]
            self._json({"files": [{**each, "shouldIgnore": False} for each in told]})
        elif "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            commit = self.hub.commit(files)
            url = f"{self.hub.url}/owner/name/commit/{commit}"
            self._json({"commitUrl": url, "commitOid": commit, "success": True})
        else:
            self._json({"error": "not found"}, 404)

    def do_GET(self) -> None:
        self._give(body=True)

    def do_HEAD(self) -> None:
        self._give(body=False)

    def _give(self, body: bool) -> None:
        listed = re.fullmatch(r"/api/models/owner/name(?:/revision/([^?]+))?(?:\?.*)?", self.path)
        tree = re.match(r"/api/models/owner/name/tree/([^/?]+)", self.path)
        file = re.fullmatch(r"/owner/name/resolve/([^/]+)/(.+)", self.path)
        found = listed or tree or file
        revision = (found[1] if found else None) or "main"
        commit = self.hub.commit_of(revision)
        if found is None:
            self._json({}, 404, {"X-Error-Code": "RepoNotFound"})
        elif commit is None:
            self._json({}, 404, {"X-Error-Code": "RevisionNotFound"})
        elif file:
            self._file(commit, self.hub.revisions[commit].get(file[2]), body)
        else:
            files = self.hub.revisions[commit]
            entry = {"type": "file", "oid": "0" * 40}
            sizes = [{**entry, "path": p, "size": len(c)} for p, c in files.items()]
            names = [{"rfilename": path} for path in files]
            self._json(sizes if tree else {"id": "owner/name", "sha": commit, "siblings": names})

    def _file(self, commit: str, content: bytes | None, body: bool) -> None:
        if content is None:
            self._json({}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        kind = hashlib.sha256 if len(content) >= LARGE else hashlib.sha1
        self.send_response(200)
        self.send_header("ETag", f'"{kind(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _json(self, told: Any, code: int = 200, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(told).encode()
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def open_hub() -> Iterator[Hub]:
    class Own(Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        Own.hub = Hub(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Own.hub
        server.shutdown()
        thread.join()
