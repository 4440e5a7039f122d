"""Folders that cannot be served: told of in the log and the index, and in nobody's way."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pointcmt.errors import InputError
from pointcmt_serve.http import ModelSource, Settings
from pointcmt_serve.http.models import folders
from pointcmt_serve.http.settings import checked_name
from tests.serve.http.folders import POLL, wait_for, write
from tests.serve.http.running import Running, running


@contextmanager
def following(tiny: Settings, folder: Path, *models: ModelSource) -> Iterator[Running]:
    with running(replace(tiny, models=models, repository=folder, poll=POLL)) as server:
        yield server


def index(server: Running) -> dict[str, Any]:
    status, entries = server.json("POST", "/v2/repository/index", {})
    assert status == 200
    return {entry["name"]: entry for entry in entries}


def ready(server: Running, path: str) -> bool:
    return server.ask("GET", f"/v2/{path}/ready")[0] == 200


def close(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let nobody list a folder, as without the permission (which root always has)."""
    listed, globbed = Path.iterdir, Path.glob

    def iterdir(self: Path) -> Iterator[Path]:
        if self == folder:
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    def glob(self: Path, pattern: str) -> Iterator[Path]:
        return iter(()) if self == folder else globbed(self, pattern)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(Path, "glob", glob)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("broken", ["closed", "threads", "copying"])
def test_a_broken_folder_is_told_of_and_the_others_are_followed(
    tiny: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
    late: bool,
) -> None:
    folder, bad = tmp_path / "models", tmp_path / "models" / "bad"

    def break_one() -> None:
        write(tmp_path / "made")
        if broken == "closed":
            close(monkeypatch, bad)
        if broken == "threads":  # more digits than any engine takes
            (tmp_path / "made" / "serving.json").write_text(f'{{"threads": {10**30}}}')
        if broken == "copying":
            (tmp_path / "made" / "model.onnx").write_bytes(b"the first half")
        (tmp_path / "made").rename(bad)

    write(folder / "good")
    if not late:
        break_one()
    with following(tiny, folder) as server:
        if late:
            break_one()
        wait_for(lambda: str(bad) in index(server).get("bad", {}).get("reason", ""))
        assert index(server)["bad"]["state"] == "UNAVAILABLE"
        wait_for(
            lambda: any(
                record.levelno == logging.WARNING and str(bad) in record.getMessage()
                for record in caplog.records
            )
        )
        assert ready(server, "health")
        status, answer = server.json("POST", "/v2/repository/models/bad/load", {})
        assert (status, str(bad) in answer["error"]) == (400, True)
        write(folder / "later")
        wait_for(lambda: ready(server, "models/later"))
        assert ready(server, "models/good")


def test_the_watcher_survives_what_nobody_thought_of(
    tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def failing(*arguments: Any) -> Any:
        looks.append(arguments)
        if len(looks) == 3:
            raise RuntimeError("nobody thought of it")
        return folders.discover(*arguments)

    monkeypatch.setattr("pointcmt_serve.http.models.repository.discover", failing)
    with following(tiny, tmp_path) as server:
        wait_for(lambda: len(looks) > 3)
        write(tmp_path / "later")
        wait_for(lambda: ready(server, "models/later"))


def test_an_unreadable_repository_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close(monkeypatch, tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        folders.discover(tmp_path, set())


def test_a_changed_folder_that_cannot_be_loaded_says_why(tiny: Settings, tmp_path: Path) -> None:
    write(tmp_path / "one")
    with following(tiny, tmp_path) as server:
        (tmp_path / "one" / "model.onnx").write_bytes(b"no model")
        wait_for(lambda: "ONNX" in index(server)["one"]["reason"])
        assert index(server)["one"]["state"] == "READY"
        write(tmp_path / "one")
        wait_for(lambda: not index(server)["one"]["reason"])


def test_versions_outlive_their_folder(tiny: Settings, tmp_path: Path) -> None:
    write(tmp_path / "model" / "1")
    write(tmp_path / "model" / "2")
    (tmp_path / "none").mkdir()
    source = ModelSource("model", tmp_path / "model")
    with following(tiny, tmp_path / "none", source) as server:
        shutil.move(tmp_path / "model", tmp_path / "moved")
        wait_for(lambda: str(tmp_path / "model") in index(server)["model"]["reason"])
        assert server.json("GET", "/v2/models/model")[1]["versions"] == ["1", "2"]
        shutil.move(tmp_path / "moved", tmp_path / "model")
        wait_for(lambda: not index(server)["model"]["reason"])
        shutil.rmtree(tmp_path / "model" / "1")
        wait_for(lambda: server.json("GET", "/v2/models/model")[1]["versions"] == ["2"])


@pytest.mark.parametrize("name", [b"back\\slash", b"two\nlines", b"\xff", b"stats"])
@pytest.mark.parametrize("late", [False, True])
def test_a_folder_with_an_odd_name_is_skipped(
    tiny: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: bytes, late: bool
) -> None:
    odd = tmp_path / os.fsdecode(name)
    write(tmp_path / "good")
    if not late:
        shutil.copytree(tmp_path / "good", odd)
    with following(tiny, tmp_path) as server:
        if late:
            shutil.copytree(tmp_path / "good", odd)
        wait_for(lambda: repr(odd.name) in caplog.text)
        write(tmp_path / "later")
        wait_for(lambda: ready(server, "models/later"))
        assert set(index(server)) == {"good", "later"}
    assert caplog.text.count(repr(odd.name)) == 1


def test_text_of_a_file_that_is_none_is_shown_escaped(tiny: Settings, tmp_path: Path) -> None:
    write(tmp_path / "one")
    (tmp_path / "one" / "serving.json").write_text('{"\\ud800": 1}')
    with following(tiny, tmp_path) as server:
        assert "\\ud800" in index(server)["one"]["reason"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "a\nb", "a\udcff", "stats"])
def test_a_name_that_no_path_can_hold_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no name for a model"):
        checked_name(name)


def test_the_models_of_the_command_keep_their_names(
    tiny: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "mine", student="first")
    for name in ("first", "second", "named"):
        write(tmp_path / "repository" / name)
    sources = ModelSource(None, tmp_path / "mine"), ModelSource("named", tmp_path / "mine")
    with following(tiny, tmp_path / "repository", *sources) as server:
        before = server.service.models.get("first")
        assert before.folder == tmp_path / "mine"
        assert all(f"'{name}' is the name of a model" in caplog.text for name in ("first", "named"))
        write(tmp_path / "mine", scale=2, student="second")
        wait_for(lambda: server.service.models.get("first") is not before)
        for name, folder in (("first", "mine"), ("second", "repository/second")):
            assert server.service.models.get(name).folder == tmp_path / folder
            assert server.json("GET", f"/v2/models/{name}")[1]["name"] == name
            (stats,) = server.json("GET", f"/v2/models/{name}/stats")[1]["model_stats"]
            assert stats["name"] == name
