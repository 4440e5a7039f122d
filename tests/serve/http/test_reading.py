"""The process that reads files: what it gives, what it takes, what it writes, and how it ends."""

import asyncio
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt.geometry import read_cloud
from pointcmt.geometry.formats import apart, scans
from pointcmt_serve import Classifier
from pointcmt_serve.clouds import Preparation, Prepared, prepare
from pointcmt_serve.http import reading
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.uploads import FileReader
from tests.reference.cloud_files import examples, npz
from tests.test_processes import ends

WANTED = Preparation(("x", "y", "z"), "unit-sphere", 16)
MIB = 2**20
serve = reading.serve


class Noisy:
    """A pipe behind which somebody warns whenever a file comes."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.send = pipe.send

    def recv(self) -> Any:
        asked = self._pipe.recv()
        warnings.warn("two\nlines", stacklevel=1)
        return asked


def serve_noisily(pipe: Connection, memory: int, level: str) -> None:
    serve(Noisy(pipe), memory, level)  # type: ignore[arg-type]


def serve_endlessly(pipe: Connection, memory: int, level: str) -> None:
    """Unpack LAZ without end; `level` is the folder that the decoder tells its process in."""

    def endless(path: Path, _: str) -> Any:
        place = Path(level, path.name)
        place.write_bytes(path.read_bytes())
        return apart.columns_apart(place, "tests.reference.decoders:endless")

    scans.columns_apart = endless  # type: ignore[attr-defined]
    serve(pipe, memory, "ERROR")


def read(
    name: str, content: bytes, wanted: Preparation = WANTED, memory: int = 1024, seconds: float = 60
) -> Prepared:
    reader = FileReader(60, memory * MIB)
    try:
        return asyncio.run(reader.read(name, content, wanted, seconds))
    finally:
        reader.close()


def test_a_file_comes_prepared_as_a_classifier_prepares_it(
    tiny_folder: Path, tmp_path: Path
) -> None:
    artefact = Classifier(tiny_folder, threads=1).artefact
    cloud = np.random.default_rng(2).normal(size=(5000, 3))
    (tmp_path / "a.npz").write_bytes(npz(points=cloud))
    points = prepare(read_cloud(tmp_path / "a.npz").points, artefact, "a")
    found = read("a.npz", (tmp_path / "a.npz").read_bytes(), Preparation.of(artefact))
    assert found.points.tobytes() == points.tobytes()
    assert prepare(found, artefact, "a") is found.points
    with pytest.raises(InputError, match="prepared for another network"):
        prepare(Prepared(points, WANTED), artefact, "a")


def test_a_file_that_settles_its_vertical_axis_says_so() -> None:
    assert read("a.las", examples()["cloud.las"]).up == "z"


@pytest.mark.skipif(sys.platform != "linux", reason="macOS has no such bound")
def test_a_file_is_read_within_its_memory() -> None:
    content = npz(points=np.random.default_rng(0).normal(size=(3_000_000, 3)).astype(np.float32))
    assert read("a.npz", content, memory=400).points.shape == (16, 3)
    with pytest.raises(InputError, match=r"^a\.npz: takes more memory"):
        read("a.npz", content, memory=100)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_unpacks_a_file_ends_with_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "serve", serve_endlessly)
    monkeypatch.setattr(logging, "getLevelName", lambda _: str(tmp_path))
    start = time.monotonic()
    with pytest.raises(RefusedError):
        read("a.laz", examples()["cloud.laz"], seconds=5)
    assert ends(int((tmp_path / "file.pid").read_text()))
    assert time.monotonic() - start < 30


def test_warnings_are_lines_of_json(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "serve", serve_noisily)
    assert read("a.las", examples()["cloud.las"]).points.shape == (16, 3)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["logger"] for line in lines] == ["py.warnings"]
    assert "two\nlines" in lines[0]["message"]


def raising(error: Exception) -> Callable[..., Any]:
    def read(*_: Any) -> Any:
        raise error

    return read


def test_an_error_of_a_parser_is_logged_and_told_without_its_words(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reading, "read_cloud", raising(RuntimeError("its words")))
    assert reading._read(("a.off", Path("file.off"), WANTED), MIB) == "a.off: cannot be read"
    assert "its words" in caplog.text
    monkeypatch.setattr(reading, "read_cloud", raising(MemoryError()))
    told = reading._read(("a.off", Path("file.off"), WANTED), 300 * MIB)
    assert told == "a.off: takes more memory than the 300 MiB it may have"
