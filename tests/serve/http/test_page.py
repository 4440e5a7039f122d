"""The page at `/`, as a browser shows it and a person uses it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pointcmt_serve.http import Security, Settings
from tests.browser import complaints, texts, wait_until
from tests.serve.http.running import Running, multipart, running

KEY = "a-key-of-some-length"
OFF = b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"

DROP = """
    const given = new DataTransfer();
    given.items.add(new File([arguments[0]], "dropped.off"));
    const event = new DragEvent("drop", {dataTransfer: given, cancelable: true});
    document.getElementById("drop").dispatchEvent(event);
"""


@pytest.fixture(scope="module")
def guarded(tiny: Settings) -> Iterator[Running]:
    """A server that asks for a key and gives a reader of files time to start."""
    keys = (hashlib.sha256(KEY.encode()).digest(),)
    limits = replace(tiny.limits, body_seconds=20)
    with running(replace(tiny, limits=limits, security=Security(keys))) as found:
        yield found


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def test_a_person_gives_a_key_and_files_and_reads_their_classes(
    browser: Any, guarded: Running, tmp_path: Path
) -> None:
    (tmp_path / "a.off").write_bytes(OFF)
    (tmp_path / "<b>.ply").write_bytes(b"no ply")
    browser.get(f"http://127.0.0.1:{guarded.port}/")
    wait_until(browser, lambda: "API key" in find(browser, "#note").text)
    assert [c for c in complaints(browser) if "401" not in c] == []

    find(browser, "#key").send_keys(KEY, "\t")
    wait_until(browser, lambda: texts(browser, "#model option") == ["tiny"])
    find(browser, "#files").send_keys(f"{tmp_path / 'a.off'}\n{tmp_path / '<b>.ply'}")
    wait_until(browser, lambda: len(texts(browser, "#answers tbody tr")) == 4)

    form, headers = multipart({"top": "3"}, {"a.off": OFF})
    _, _, answer = guarded.ask("POST", "/classify", form, headers | {"X-API-Key": KEY})
    best = json.loads(answer)["answers"][0]["top"]
    shown = texts(browser, "#answers tbody tr:not(.error) td:nth-child(2)")
    assert shown == [candidate["label"] for candidate in best]
    assert texts(browser, "#answers td:nth-child(3)")[0] == f"{best[0]['probability']:.3f}"
    assert texts(browser, "#answers tr.error td")[:1] == ["<b>.ply"]
    browser.execute_script(DROP, OFF.decode())
    wait_until(browser, lambda: texts(browser, "#answers td:first-child")[:1] == ["dropped.off"])
    assert texts(browser, "#answers td:nth-child(2)") == shown
    assert complaints(browser) == []
