"""Files that hold the reader up, and what goes on meanwhile."""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import active_children
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt_serve.clouds import Preparation, Prepared
from pointcmt_serve.http import ModelSource, Settings, reading
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.uploads import FileReader
from tests.reference.tiny_student import METADATA, tiny_model
from tests.serve.http.running import CLOUD, INFER, Running, multipart, points_input, running

OFF = b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
WANTED = Preparation(("x", "y", "z"), "unit-sphere", 16)
GIB = 2**30
serve = reading.serve


class Slow:
    """A pipe on which no file with "slow" in its name ever comes."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.send = pipe.send

    def recv(self) -> Any:
        asked = self._pipe.recv()
        if "slow" in asked[0]:
            time.sleep(60)
        return asked


def serve_slowly(pipe: Connection, memory: int, level: str) -> None:
    serve(Slow(pipe), memory, level)  # type: ignore[arg-type]


@contextmanager
def slowed(settings: Settings, grace: int = 5) -> Iterator[Running]:
    """A server whose reader listens already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "serve", serve_slowly)
        with running(settings, grace=grace) as found:
            assert classify(found, "a.off")[0] == 200
            yield found


@pytest.fixture(scope="module")
def slow_server(tiny: Settings) -> Iterator[Running]:
    with slowed(tiny) as found:
        yield found


def classify(server: Running, *names: str, seconds: float = 30) -> tuple[int, Any]:
    body, headers = multipart({}, dict.fromkeys(names, OFF))
    headers["X-Request-Timeout"] = str(seconds)
    status, _, answer = server.ask("POST", "/classify", body, headers)
    return status, json.loads(answer)


def test_slow_files_hold_up_no_other_request(slow_server: Running) -> None:
    large = json.dumps({"inputs": [points_input(np.tile(CLOUD, (350, 1)))]}).encode()
    assert len(large) > 150_000
    with ThreadPoolExecutor(40) as pool:
        slow = [pool.submit(classify, slow_server, "slow.off", seconds=3) for _ in range(40)]
        time.sleep(0.5)
        start = time.monotonic()
        status, _, _ = slow_server.ask("POST", INFER, large)
        assert (status, time.monotonic() - start < 2) == (200, True)
        assert {upload.result()[0] for upload in slow} == {504}
        assert time.monotonic() - start < 10
    assert classify(slow_server, "a.off")[0] == 200


def test_a_deadline_holds_for_reading(slow_server: Running) -> None:
    start = time.monotonic()
    status, answer = classify(slow_server, "a.off", "slow.stl", "b.off", seconds=1.5)
    assert (status, "within its 1.5 s" in answer["error"]) == (504, True)
    assert time.monotonic() - start < 6
    assert classify(slow_server, "a.off")[0] == 200


def test_who_waits_for_a_turn_has_a_deadline_too(slow_server: Running) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(classify, slow_server, "slow.off", seconds=3)
        time.sleep(0.2)
        status, answer = classify(slow_server, "a.off", seconds=0.5)
        assert (status, "within its 0.5 s" in answer["error"]) == (504, True)
        assert not first.done()


def test_a_file_that_takes_too_long_leaves_nothing_behind(
    tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    limits = replace(tiny.limits, file_seconds=0.5)
    with slowed(replace(tiny, limits=limits)) as server:
        status, answer = classify(server, "slow.off")
        assert status == 400
        assert answer["answers"] == [
            {"file": "slow.off", "error": "slow.off: takes more than 0.5 s to read"}
        ]
        assert list(tmp_path.iterdir()) == []


def test_a_server_that_stops_waits_for_no_file(tiny: Settings) -> None:
    before = active_children()
    with ThreadPoolExecutor(3) as pool:
        with slowed(tiny, grace=1) as server:
            for _ in range(3):
                pool.submit(classify, server, "slow.off")
            time.sleep(0.5)
            start = time.monotonic()
        assert time.monotonic() - start < 6
    assert active_children() == before


def test_a_deadline_does_not_end_a_reader_that_starts() -> None:
    """Else requests that have less than its start takes would never be answered."""

    async def read() -> Prepared:
        with pytest.raises(RefusedError, match=r"within its 0\.001 s"):
            await reader.read("a.off", OFF, WANTED, 0.001)
        while not (started := set(active_children()) - before):
            await asyncio.sleep(0.001)
        found = await reader.read("a.off", OFF, WANTED, 60)
        assert set(active_children()) - before == started
        return found

    before, reader = set(active_children()), FileReader(20, GIB)
    try:
        assert asyncio.run(read()).points.shape == (16, 3)
    finally:
        reader.close()


def test_a_closed_reader_starts_no_process() -> None:
    async def read() -> None:
        asking = asyncio.create_task(reader.read("a.off", OFF, WANTED, 60))
        await asyncio.sleep(0.01)
        await asyncio.to_thread(reader.close)
        with pytest.raises(InputError, match="reader broke off"):
            await asking

    before, reader = active_children(), FileReader(20, GIB)
    asyncio.run(read())
    assert active_children() == before


def test_the_reading_of_a_file_ends_when_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read() -> None:
        await reader.read("a.off", OFF, WANTED, 60)
        (process,) = set(active_children()) - before
        asking = asyncio.create_task(reader.read("slow.off", OFF, WANTED, 60))
        await asyncio.sleep(0.2)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await reader.read("b.off", OFF, WANTED, 20)
        assert not process.is_alive()

    monkeypatch.setattr(reading, "serve", serve_slowly)
    before, reader = set(active_children()), FileReader(50, GIB)
    try:
        asyncio.run(read())
    finally:
        reader.close()


@pytest.mark.parametrize("points", [64, 32])
def test_a_model_may_be_replaced_while_files_are_read(
    points: int,
    tiny_folder: Path,
    tiny: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also by one that wants another number of points; then the file is prepared anew."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "tiny"))
    other = tiny_model({**METADATA, "pointcmt.points": str(points)}).SerializeToString()
    source = ModelSource("tiny", folder, {"threads": 1})
    read = FileReader.read

    with running(replace(tiny, models=(source,))) as server:
        models = server.service.models
        first = models.get("tiny")

        async def read_and_replace(*args: Any) -> Prepared:
            wanted.append(args[3].points)
            if len(wanted) == 1:
                (folder / "model.onnx").unlink()
                (folder / "model.onnx").write_bytes(other)
                await models.load("tiny")
                await asyncio.gather(*models._closing)
            return await read(*args)

        wanted: list[int] = []
        monkeypatch.setattr(FileReader, "read", read_and_replace)
        assert classify(server, "a.off")[0] == 200
        assert models.get("tiny") is not first
        assert wanted == ([64] if points == 64 else [64, points])
