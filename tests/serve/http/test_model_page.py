"""The page that `--format web` writes, as the server shows it at `/`."""

import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointcmt.geometry import read_cloud
from pointcmt_export.formats import web
from pointcmt_export.formats.requirements import BUILT
from pointcmt_serve import Classifier
from pointcmt_serve.http import ModelSource, Security, Settings
from pointcmt_serve.http.security import digest
from pointcmt_serve.pretrained import located
from tests.browser import complaints, texts, wait_until
from tests.serve.http.running import Running, received, running

KEY = "a-key-of-some-length"
LARGE = bytes(1 << 23)  # more than the buffers of a connection hold
SECONDS = 60  # a guess of the vertical axis runs the network a dozen times, in one thread


@pytest.fixture(scope="module")
def settings(tiny: Settings, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two models, of which the second has a page of two files."""
    folder = tmp_path_factory.mktemp("paged") / "model"
    shutil.copytree(tiny_folder, folder)
    (folder / "web").mkdir()
    (folder / "web" / "index.html").write_text("<title>of the model</title>")
    (folder / "web" / "model.json").write_text("{}")
    (folder / "web" / "large.bin").write_bytes(LARGE)
    paged = ModelSource("my model", folder, {"threads": 1})
    return replace(tiny, models=(*tiny.models, paged))


@pytest.fixture(scope="module")
def paged(settings: Settings) -> Iterator[Running]:
    with running(settings) as found:
        yield found


def test_the_first_page_is_the_models_own(paged: Running) -> None:
    status, headers, _ = paged.ask("GET", "/")
    assert (status, headers["location"]) == (307, "pages/my%20model/")
    status, headers, answer = paged.ask("GET", "/pages/my%20model/")
    assert (status, answer) == (200, b"<title>of the model</title>")
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert paged.ask("GET", "/pages/my%20model/model.json")[2] == b"{}"
    assert b'id="files"' in paged.ask("GET", "/upload")[2]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_client_that_ends_its_side_gets_a_large_file_as_it_is(
    paged: Running, version: bytes
) -> None:
    asked = b"GET /pages/my%20model/large.bin HTTP/" + version + b"\r\nHost: a\r\n\r\n"
    with paged.connect() as connection:
        connection.sendall(asked)
        answer = connection.recv(1000)
        connection.shutdown(socket.SHUT_WR)
        answer += received(connection)
    assert answer.partition(b"\r\n\r\n")[2] == LARGE


@pytest.mark.parametrize(
    "path", ["tiny/", "my%20model/other.js", "my%20model/..%2Fmodel.onnx", "../etc", "none/"]
)
def test_there_is_no_other_page(paged: Running, path: str) -> None:
    status, answer = paged.json("GET", f"/pages/{path}")
    assert status == 404
    assert set(answer) == {"error"}


def test_a_model_without_a_page_has_the_one_for_uploads(server: Running) -> None:
    status, _, answer = server.ask("GET", "/")
    assert status == 200
    assert b'id="files"' in answer


def test_with_keys_the_models_page_is_not_given_away(settings: Settings) -> None:
    with running(replace(settings, security=Security((digest(KEY),)))) as guarded:
        assert b'id="files"' in guarded.ask("GET", "/")[2]
        assert guarded.ask("GET", "/pages/my%20model/model.json")[0] == 401
        key = {"X-API-Key": KEY}
        assert guarded.ask("GET", "/pages/my%20model/model.json", headers=key)[0] == 200


def test_it_classifies_in_the_browser(browser: Any, tmp_path: Path) -> None:
    if not (BUILT / "index.html").is_file():
        pytest.skip("the page is not built: `make page`, which needs npm")
    folder = tmp_path / "shapes"
    shutil.copytree(located(Path("shapes")), folder)
    web.write_page(folder, folder / "web")
    with running(Settings(models=(ModelSource("shapes", folder, {"threads": 1}),))) as served:
        browser.get(f"http://127.0.0.1:{served.port}/")
        wait_until(browser, lambda: texts(browser, "#status")[0].startswith("Ready"), SECONDS)
        browser.find_element("css selector", "#examples button").click()
        wait_until(browser, lambda: texts(browser, "#status")[0].startswith("chair.off"), SECONDS)
        label, probability = browser.execute_script(
            """const line = document.querySelector('#bars tr');
            return [line.querySelector('th').textContent, Number(line.dataset.probability)]"""
        )
        browser.get("about:blank")
    assert [each for each in complaints(browser) if "WebGL" not in each] == []
    mesh = web.EXAMPLES["chair"](np.random.default_rng(1)).mesh
    (tmp_path / "chair.off").write_text(web.off(mesh))
    classifier = Classifier(folder, threads=1)
    prepared = classifier.prepare(read_cloud(tmp_path / "chair.off").points)[None]
    (expected,) = classifier.predict(prepared, [classifier.vertical("y")])
    assert label == expected.label
    assert probability == pytest.approx(expected.probability, abs=1e-4)
