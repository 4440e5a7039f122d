"""Writing beside and renaming: the old file or the whole new one, nothing in between."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pointcmt.errors import InputError
from pointcmt.files import cache_folder, write_beside


def test_a_file_appears_only_when_the_block_has_succeeded(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with write_beside(target) as fresh:
        fresh.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells of open files in /proc")
def test_writing_leaves_no_file_open(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    for name in ("a", "b"):
        with write_beside(tmp_path / name) as fresh:
            fresh.touch()
    assert len(set(Path("/proc/self/fd").iterdir())) == len(before)


def test_the_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    monkeypatch.setenv("POINTCMT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("POINTCMT_CACHE")
    assert cache_folder() == tmp_path / "users" / "pointcmt"


def _fail_half_way(target: Path, error: type[BaseException]) -> None:
    with write_beside(target) as fresh:
        fresh.write_text("half")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(error):
        _fail_half_way(target, error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_replaces_a_folder_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").touch()
    with write_beside(target) as fresh:
        fresh.mkdir()
        (fresh / "new").touch()
    assert [p.name for p in target.iterdir()] == ["new"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"), write_beside(tmp_path / "file/x"):
        pass


KILLED = """
import os, pathlib, signal, sys
from pointcmt import files
moment, target = sys.argv[1], pathlib.Path(sys.argv[2])
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
rename = pathlib.Path.rename
if moment.startswith("without exchange"):
    files._exchange = lambda one, other: False
    pathlib.Path.rename = lambda path, to: kill() if path.name == target.name and "partial" in str(
        path) else rename(path, to)
if moment == "after the exchange":
    files.shutil.rmtree = kill
with files.write_beside(target) as fresh:
    fresh.mkdir()
    (fresh / "new").touch()
    if moment == "before":
        kill()
"""


@pytest.mark.parametrize(
    ("moment", "left"),
    [("before", ["old"]), ("after the exchange", ["new"]), ("without exchange", None)],
)
def test_a_kill_never_loses_the_folder_and_the_next_writing_sweeps(
    tmp_path: Path, moment: str, left: list[str] | None
) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").touch()
    (tmp_path / ".model.mine").mkdir()
    done = subprocess.run([sys.executable, "-c", KILLED, moment, target], check=False)
    assert done.returncode == -9
    names = [p.name for p in target.iterdir()] if target.exists() else None
    assert names == left
    assert len(list(tmp_path.glob(".model.*.partial"))) == 1
    with pytest.raises(RuntimeError), write_beside(target):
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == (left or ["old"])
    assert {p.name for p in tmp_path.iterdir()} == {"model", ".model.mine"}


def test_what_another_writer_still_needs_is_not_swept(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with write_beside(target) as slow:
        slow.mkdir()
        with write_beside(target) as quick:
            quick.mkdir()
            (quick / "quick").touch()
        assert [p.name for p in target.iterdir()] == ["quick"]
        (slow / "slow").touch()
    assert [p.name for p in target.iterdir()] == ["slow"]


@pytest.mark.skipif(sys.platform != "linux", reason="RENAME_EXCHANGE is Linux's")
def test_a_folder_is_never_away_while_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model"
    target.mkdir()
    monkeypatch.setattr(Path, "rename", lambda *_: pytest.fail("a second step"))
    with write_beside(target) as fresh:
        fresh.mkdir()
        (fresh / "new").touch()
    assert [p.name for p in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def _small_disk() -> None:
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


WRITING = """
import sys
from pathlib import Path
import torch
from pointcmt.checkpoint import ModelConfig, save_training_checkpoint
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_training.folder import save_state

def some_bytes(target):
    with write_beside(target) as fresh:
        fresh.write_bytes(b"x" * 10000)

def a_state(target):
    save_state(target, {"a": torch.zeros(9999)})

def a_checkpoint(target):
    config = ModelConfig("x", {}, ("a",), 8)
    save_training_checkpoint(target, config, torch.nn.Linear(99, 99))

for write in (some_bytes, a_state, a_checkpoint):
    try:
        write(Path(sys.argv[1]))
    except InputError as error:
        print(error)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "state"
    target.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", WRITING, target],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=_small_disk,
    )
    told = done.stdout.splitlines()
    assert len(told) == 3
    assert all("cannot be written" in line for line in told)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
