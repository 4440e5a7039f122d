"""Files that people send, and the pages they see."""

import gzip
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import active_children
from typing import Any

import numpy as np
import pytest

from pointcmt_serve.http import Settings, create_app
from pointcmt_serve.http.routes.openapi import openapi
from pointcmt_serve.http.routes.page import page_routes
from pointcmt_serve.http.service import Service
from tests.reference.tiny_student import CLASSES
from tests.serve.http.running import CLOUD, GOOD, Running, multipart, running

OFF = b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"


@pytest.fixture(scope="module")
def server(tiny: Settings) -> Iterator[Running]:
    """One that gives a reader time to start."""
    with running(replace(tiny, limits=replace(tiny.limits, body_seconds=20))) as found:
        yield found


def classify(server: Running, files: dict[str, bytes], **fields: str) -> tuple[int, dict[str, Any]]:
    status, _, answer = server.ask("POST", "/classify", *multipart(fields, files))
    return status, json.loads(answer)


def npy(cloud: Any) -> bytes:
    room = io.BytesIO()
    np.save(room, cloud)
    return room.getvalue()


def test_files_are_answered_as_the_command_does(server: Running) -> None:
    files = {"a.off": OFF, "b.npy": npy(CLOUD), "c.ply": b"no ply", "d.exe": b"MZ"}
    status, answer = classify(server, files, model="tiny", top="2")
    assert (status, answer["model"], answer["version"]) == (200, "tiny", "1")
    mesh, cloud, broken, unknown = answer["answers"]
    assert (mesh["label"] in CLASSES, len(mesh["top"])) == (True, 2)
    _, plain = server.infer({"inputs": [GOOD]})
    assert cloud["logits"] == pytest.approx(plain["outputs"][0]["data"], abs=1e-5)
    assert (broken["file"], broken["error"][:7]) == ("c.ply", "c.ply: ")
    assert "unknown format" in unknown["error"]


def test_a_reader_that_dies_is_started_again(server: Running) -> None:
    assert classify(server, {"a.off": OFF})[0] == 200
    (reader,) = active_children()
    reader.kill()
    reader.join()
    answers = [classify(server, {"a.off": OFF})[0] for _ in range(2)]
    assert answers[1] == 200


@pytest.mark.parametrize(
    ("files", "fields", "status", "sentence"),
    [
        ({}, {}, 400, "at least one file"),
        ({"a.off": OFF}, {"model": "other"}, 404, "no model 'other'"),
        ({"a.off": OFF}, {"top": "0"}, 400, "top is '0'"),
        ({"a.off": OFF}, {"top": "9" * 99}, 400, "top is '999"),
        ({f"{i}.off": OFF for i in range(65)}, {}, 400, "cannot be read"),
    ],
)
def test_a_form_without_sense_is_refused(
    server: Running, files: dict[str, bytes], fields: dict[str, str], status: int, sentence: str
) -> None:
    found, answer = classify(server, files, **fields)
    assert (found, sentence in answer["error"]) == (status, True)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"--b--", 400),
        ("multipart/form-data; boundary=b", b"no form", 400),
        ("multipart/form-data; boundary=b", b"--b\r\nA: b\r\n\r\n", 400),
    ],
)
def test_what_is_no_form_is_refused(server: Running, kind: str, body: bytes, status: int) -> None:
    found, _, answer = server.ask("POST", "/classify", body, {"Content-Type": kind})
    assert (found, list(json.loads(answer))) == (status, ["error"])


@pytest.mark.parametrize("content", [OFF, b"no mesh"])
def test_an_answer_is_packed_as_the_client_accepts(server: Running, content: bytes) -> None:
    body, headers = multipart({}, {"a.off": content})
    plain = server.ask("POST", "/classify", body, headers)
    packed = server.ask("POST", "/classify", body, headers | {"Accept-Encoding": "gzip"})
    assert (packed[0], gzip.decompress(packed[2])) == (plain[0], plain[2])
    assert packed[1]["content-encoding"] == "gzip"
    assert plain[1]["vary"] == packed[1]["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("charset", ["unicode_escape", "undefined", "punycode", "latin-1", '""'])
def test_a_form_is_in_utf8(server: Running, charset: str) -> None:
    body, headers = multipart({}, {"\\ud800.npy": npy(CLOUD)})
    kind = f"{headers['Content-Type']}; charset={charset}"
    status, answer = server.ask("POST", "/classify", body, {"Content-Type": kind})[::2]
    assert (status, "UTF-8" in json.loads(answer)["error"]) == (400, True)


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"utf-8"'])
def test_a_form_may_say_that_it_is_in_utf8(server: Running, charset: str) -> None:
    body, headers = multipart({}, {"Stühle.off": OFF})
    kind = f"{headers['Content-Type']}; charset={charset}"
    status, _, answer = server.ask("POST", "/classify", body, {"Content-Type": kind})
    assert (status, json.loads(answer)["answers"][0]["file"]) == (200, "Stühle.off")


def test_a_file_needs_a_name(server: Running) -> None:
    """Its ending tells the format; one in RFC 5987's notation alone is not a form's."""
    body, headers = multipart({}, {"a.off": OFF})
    nameless = body.replace(b'filename="a.off"', b"filename*=UTF-8''a.off")
    status, _, answer = server.ask("POST", "/classify", nameless, headers)
    assert (status, "no filename" in json.loads(answer)["error"]) == (400, True)


@pytest.mark.parametrize("left", [b"", b"--b", b"\r\n--b", b"--b-", b"--b\r\n"])
def test_a_form_that_is_cut_short_is_refused(server: Running, left: bytes) -> None:
    body, headers = multipart({}, {"a.off": OFF, "b.off": OFF})
    cut = body.rpartition(b"--b--")[0] + left
    status, _, answer = server.ask("POST", "/classify", cut, headers)
    assert (status, list(json.loads(answer))) == (400, ["error"])


@pytest.mark.parametrize("end", [b"--b--", b"--b--\r\n", b"--b--\r\nan epilogue"])
def test_a_form_ends_with_its_boundary(server: Running, end: bytes) -> None:
    body, headers = multipart({}, {"a.off": OFF, "b.off": OFF})
    whole = body.rpartition(b"--b--")[0] + end
    status, _, answer = server.ask("POST", "/classify", whole, headers)
    assert (status, len(json.loads(answer)["answers"])) == (200, 2)


def test_a_file_alone_that_cannot_be_read_is_a_bad_request(server: Running) -> None:
    status, answer = classify(server, {"c.ply": b"no ply"})
    assert (status, answer["answers"][0]["file"]) == (400, "c.ply")


def test_the_page_loads_nothing_from_elsewhere(server: Running) -> None:
    for path in ("/", "/docs", "/page.js"):
        status, headers, text = server.ask("GET", path)
        assert (status, b"http://" in text, b"https://" in text) == (200, False, False)
        assert headers["content-security-policy"].startswith("default-src 'self'")


def test_every_described_route_is_there(server: Running) -> None:
    _, described = server.json("GET", "/openapi.json")
    assert described["openapi"].startswith("3.1")
    for path, methods in described["paths"].items():
        (method,) = methods
        asked = path.replace("{name}", "tiny").replace("{version}", "1")
        status = server.ask(method.upper(), asked)[0]
        assert status not in (404, 405), path


def test_every_route_but_pages_is_described(tiny: Settings) -> None:
    service = Service(tiny)
    app: Any = create_app(tiny, service)
    pages = {"/v2/", "/docs", "/openapi.json"} | {route.path for route in page_routes(service)}
    there = {
        (route.path, (route.methods - {"HEAD"}).pop().lower())
        for route in app._app.routes
        if route.path not in pages
    }
    described = openapi()["paths"]
    assert there == {(path, method) for path, methods in described.items() for method in methods}
    for path, methods in described.items():
        (operation,) = methods.values()
        named = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
        assert named == re.findall(r"{(\w+)}", path)
