"""The page that --format web writes, in Chromium, beside `Classifier`."""

import functools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointcmt.geometry import read_cloud
from pointcmt_export.formats import web
from pointcmt_export.formats.requirements import BUILT
from pointcmt_serve import Classifier, Prediction
from pointcmt_serve.pretrained import located
from tests.browser import complaints, texts, wait_until
from tests.export.web.files import write_good, write_wrong

STUDENT = located(Path("shapes"))
BY_FORMAT = ["mesh.obj", "text.stl", "mesh.ply", "packed.pcd", "cloud.xyz"]  # others: by node
SECONDS = 60  # a guess runs the network a dozen times, in one thread


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page for the shipped student."""
    if not (BUILT / "index.html").is_file():
        pytest.skip("the page is not built: `make page`, which needs npm")
    folder = web.write_page(STUDENT, tmp_path_factory.mktemp("web") / "web")
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def opened(browser: Any, page: str) -> Any:
    browser.get(page)
    wait_until(browser, lambda: status(browser).startswith("Ready"), SECONDS)
    return browser


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(STUDENT, threads=1)


def status(browser: Any) -> str:
    (text,) = texts(browser, "#status")
    return text


def give(browser: Any, file: Path, up: str) -> str:
    """Choose a file, as dropping it does, and return what the page says of it."""
    browser.execute_script("document.getElementById('up').value = arguments[0]", up)
    browser.execute_script("document.getElementById('status').textContent = 'Classifying'")
    browser.find_element("id", "files").send_keys(str(file))
    wait_until(browser, lambda: not status(browser).startswith("Classifying"), SECONDS)
    return status(browser)


def shown(browser: Any) -> dict[str, float]:
    script = """return [...document.querySelectorAll('#bars tr')].map(
        line => [line.querySelector('th').textContent, Number(line.dataset.probability)])"""
    return dict(browser.execute_script(script))


def predicted(classifier: Classifier, file: Path, up: str) -> Prediction:
    cloud = read_cloud(file)
    prepared = classifier.prepare(cloud.points)[None]
    (prediction,) = classifier.predict(prepared, [classifier.vertical(up)])
    return prediction


@pytest.mark.parametrize("name", ["mesh.off", *BY_FORMAT])
def test_a_file_gets_the_classifiers_answer(
    opened: Any, classifier: Classifier, name: str, tmp_path: Path
) -> None:
    file = write_good(tmp_path, name)
    up = "auto" if name == "mesh.off" else "z"
    said = give(opened, file, up)
    expected = predicted(classifier, file, up)
    assert said.startswith(f"{name}: {expected.label}, "), said
    bars = shown(opened)
    assert list(bars) == [candidate.label for candidate in expected.top(5)]
    for candidate in expected.top(5):
        assert bars[candidate.label] == pytest.approx(candidate.probability, abs=1e-4)
    critical = expected.critical_points()
    assert f"{len(critical)} of {len(critical.cloud)} points decided" in texts(opened, "#why")[0]
    assert [each for each in complaints(opened) if "WebGL" not in each] == []


@pytest.mark.parametrize("name", ["cut.off", "words.xyz", "letter.docx"])
def test_a_wrong_file_gets_a_sentence(opened: Any, name: str, tmp_path: Path) -> None:
    file, sentence = write_wrong(tmp_path, name)
    said = give(opened, file, "z")
    assert sentence in said
    assert said.startswith(f"{name}: ")
    assert not opened.find_element("id", "answer").is_displayed()


DROP = """const given = new DataTransfer(), file = new File(['0 0 0'], arguments[0]);
given.items.add(file);
Object.defineProperty(given.files[0], 'size', {value: arguments[1]});
given.files[0].arrayBuffer = () => Promise.reject(new Error('no file'));
const event = new DragEvent('drop', {dataTransfer: given, bubbles: true, cancelable: true});
document.querySelector('h1').dispatchEvent(event);
return event.defaultPrevented;"""


@pytest.mark.parametrize(
    ("name", "size", "sentence"),
    [("folder", 4096, "cannot be read (no file)"), ("a.ply", 2**32, "has 4294967296 bytes; ")],
)
def test_what_cannot_be_read_gets_a_sentence_wherever_it_is_dropped(
    opened: Any, name: str, size: int, sentence: str
) -> None:
    assert opened.execute_script(DROP, name, size)
    wait_until(opened, lambda: f"{name}: {sentence}" in status(opened), 2)
    assert not opened.find_element("id", "answer").is_displayed()


def test_several_files_at_once_get_a_sentence(opened: Any) -> None:
    opened.execute_script(
        """const given = new DataTransfer();
        for (const name of ['a.xyz', 'b.xyz']) given.items.add(new File(['0 0 0'], name));
        document.dispatchEvent(new DragEvent('drop', {dataTransfer: given}));"""
    )
    wait_until(opened, lambda: status(opened) == "2 files at once; drop one after the other", 2)
    assert not opened.find_element("id", "answer").is_displayed()


def test_a_dropped_file_and_an_example_are_classified(
    opened: Any, classifier: Classifier, tmp_path: Path
) -> None:
    opened.execute_script(
        """const file = new File([arguments[0]], 'drop.xyz'), data = new DataTransfer();
        data.items.add(file);
        document.getElementById('drop').dispatchEvent(
            new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));""",
        "\n".join(f"{i % 7} {i % 5} {i % 3}" for i in range(300)),
    )
    wait_until(opened, lambda: status(opened).startswith("drop.xyz: "), SECONDS)
    opened.find_element("css selector", "#examples button").click()
    wait_until(opened, lambda: status(opened).startswith("chair.off: "), SECONDS)
    (tmp_path / "chair.off").write_text(
        web.off(web.EXAMPLES["chair"](np.random.default_rng(1)).mesh)
    )
    expected = predicted(classifier, tmp_path / "chair.off", "y")
    assert shown(opened)[expected.label] == pytest.approx(expected.probability, abs=1e-4)


def test_nothing_leaves_the_computer(opened: Any, page: str) -> None:
    """All that was fetched came from the page's own host, and its policy forbids anything else."""
    script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    fetched = opened.execute_script(script)
    assert fetched
    assert all(name.startswith(page) for name in fetched)
    refused = opened.execute_async_script(
        """const done = arguments[arguments.length - 1];
        fetch('http://127.0.0.1:9/').then(() => done('sent'), () => done('refused'));"""
    )
    assert refused == "refused"
    assert any("Content Security Policy" in each for each in complaints(opened))


def test_the_picture_turns_by_keyboard_and_is_described(opened: Any) -> None:
    picture = opened.find_element("id", "picture")
    assert "points" in picture.get_attribute("aria-label")
    assert picture.get_attribute("tabindex") == "0"
    button = opened.find_element("id", "turning")
    before = button.get_attribute("aria-pressed")
    button.send_keys(" ")
    assert button.get_attribute("aria-pressed") != before


def test_it_fits_a_phone(opened: Any) -> None:
    phone = {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        wide = "return [document.documentElement.scrollWidth, innerWidth]"
        wait_until(opened, lambda: opened.execute_script(wide) == [360, 360])
        assert opened.find_element("id", "answer").is_displayed()
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@contextmanager
def opening_with(browser: Any, script: str) -> Iterator[None]:
    """Within, every page runs `script` before its own."""
    told = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", told)


def test_a_browser_without_simd_gets_a_sentence(browser: Any, page: str) -> None:
    with opening_with(browser, "WebAssembly.validate = () => false"):
        browser.get(page)
        wait_until(browser, lambda: "no WebAssembly with SIMD" in status(browser), SECONDS)


def test_a_worker_that_fails_gets_a_sentence(browser: Any, page: str) -> None:
    failing = """window.Worker = class {
        postMessage() { setTimeout(() => this.onerror(new Event('error'))); }
    }"""
    with opening_with(browser, failing):
        browser.get(page)
        wait_until(browser, lambda: "worker does not run; reload" in status(browser), SECONDS)


def test_the_page_knows_the_student() -> None:
    model = web.described(STUDENT)
    json.dumps(model)
    assert model["classes"] == list(Classifier(STUDENT).classes)
