"""A model and its folder, step by step: what counts as a change, which options are kept."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pointcmt.errors import InputError
from pointcmt_serve.http import Batching, ModelSource, Settings
from pointcmt_serve.http.batching import Scheduler
from pointcmt_serve.http.models import Host, Repository, folders
from pointcmt_serve.http.models.model import Model
from tests.serve.http.folders import write

ONE = Batching(size=1, workers=1)


def loaded(source: ModelSource, batching: Batching = ONE, **options: object) -> Model:
    model = Model(source, batching, Host(lambda *_: None, Scheduler, options))
    model.refresh()
    return model


def test_a_file_overwritten_in_place_by_as_many_bytes_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"one")
    before, written = folders.stamp(tmp_path), file.stat().st_mtime_ns
    file.write_bytes(b"two")
    os.utime(file, ns=(written, written + 1))
    assert folders.stamp(tmp_path) != before


def test_numbered_versions_follow_the_serving_json_above_them(tmp_path: Path) -> None:
    write(tmp_path / "1")
    model = loaded(ModelSource("m", tmp_path))
    before = model.ready["1"]
    assert model.refresh() == []
    (tmp_path / "serving.json").write_text('{"votes": 2}')
    assert model.refresh() == [before]
    for served in (before, model.ready["1"]):
        served.close()


def test_a_folder_is_left_alone_while_somebody_writes_into_it(
    tiny: Settings, tmp_path: Path
) -> None:
    host = Host(lambda *_: None, Scheduler, {"threads": 1})
    repository = Repository(replace(tiny, models=(), repository=tmp_path), host)
    write(tmp_path / "m")
    repository.start()
    before = repository.get("m")
    write(tmp_path / "m", scale=2)

    async def looks() -> list[bool]:
        found = []
        for _ in range(2):
            await repository._look()
            found.append(repository.get("m") is before)
        await repository.close()
        return found

    assert asyncio.run(looks()) == [True, False]


def test_a_students_own_name_is_no_path(tmp_path: Path) -> None:
    write(tmp_path, student="owner/net")
    model = loaded(ModelSource(None, tmp_path))
    assert model.name == "owner-net"
    model.ready["1"].close()


def test_a_network_of_one_thread_keeps_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointcmt_serve.http.models.served.pays", lambda *_: False)
    write(tmp_path)
    source = ModelSource("m", tmp_path, {"votes": 3, "device": "cpu"})
    served = loaded(source, Batching(size=1, workers=2)).ready["1"]
    told = served.classifier._reopen.keywords
    assert (told["votes"], told["device"], told["threads"]) == (3, "cpu", 1)
    served.close()


def test_what_could_not_be_loaded_is_tried_again_when_it_changes_or_a_client_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def fails(source: ModelSource, version: str, folder: Path, *_: object) -> None:
        tried.append(folder)
        raise InputError("is no model")

    monkeypatch.setattr("pointcmt_serve.http.models.model.Served", fails)
    (tmp_path / "model.onnx").write_bytes(b"broken")
    model = loaded(ModelSource("m", tmp_path))
    model.refresh()
    assert (len(tried), model.reason) == (1, "is no model")
    model.forgive()
    model.refresh()
    assert len(tried) == 2
    (tmp_path / "model.onnx").write_bytes(b"longer")
    model.refresh()
    assert len(tried) == 3
