"""A run's folder: who may take it, and what is said of files in it that were damaged."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_training import folder
from pointcmt_training.folder import RunFolder
from pointcmt_training.held import held
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run
from tests.training.tiny import TINY, assert_same_weights


def test_another_configuration_does_not_touch_a_finished_run(finished: Path) -> None:
    before = (finished / "result.json").read_bytes()
    with pytest.raises(InputError, match=r"another run \(seed is 0 there, 1 here\)"):
        run(load_config("shapes", [*TINY, "seed=1"]), finished)
    assert (finished / "result.json").read_bytes() == before


def test_a_kill_before_the_configuration_was_written_leaves_a_free_folder(tmp_path: Path) -> None:
    """Killed inside `write_beside`, its temporary folder is all that is there."""
    config, root = load_config("shapes", TINY), tmp_path / "run"
    child = os.fork()
    if child == 0:
        try:
            folder.write_text = lambda path, _: _die_inside(path)
            RunFolder(root).claim(config, {})
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    left = {p.name for p in root.iterdir()}
    assert left
    assert "config.yaml" not in left
    other = load_config("shapes", [*TINY, "seed=1"])
    RunFolder(root).require_free(other)
    RunFolder(root).claim(other, {})
    assert {p.name for p in root.iterdir()} == {"config.yaml", "data.json"}


def _die_inside(path: Path) -> None:
    with write_beside(path) as fresh:
        fresh.write_text("method: ")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(InputError, match="holds no run"):
        run(load_config("shapes", TINY), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("recipe", ["shapes", "shapes_parts"])
def test_one_process_trains_in_a_folder_at_a_time(recipe: str, tmp_path: Path) -> None:
    root = tmp_path / "run"
    settings = TINY if recipe == "shapes" else ["data.per_class=2", "device=cpu"]
    with (
        held(root),
        pytest.raises(InputError, match=r"run: another process is training here"),
    ):
        run(load_config(recipe, settings), root)
    assert list(root.iterdir()) == []
    with held(root):
        pass


def test_a_folder_that_another_run_took_meanwhile_is_not_claimed(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(load_config("shapes", TINY), {})
    (tmp_path / "history").mkdir()
    with pytest.raises(InputError, match="holds another run"):
        RunFolder(tmp_path).claim(load_config("shapes", [*TINY, "seed=1"]), {})


def flip(path: Path, at: float = 0.5) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 0x10
    path.write_bytes(content)


def copy_of(finished: Path, tmp_path: Path) -> Path:
    """The run without its end, so that the next call takes up what stages I and II left."""
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    return tmp_path / "run"


@pytest.mark.parametrize("stage", ["teacher", "generator"])
@pytest.mark.parametrize("at", [0.3, 0.5, 0.9, 0.9999])
def test_one_changed_byte_of_reused_weights_is_noticed(
    stage: str, at: float, finished: Path, tmp_path: Path
) -> None:
    root = copy_of(finished, tmp_path)
    flip(root / stage / "model.safetensors", at)
    with pytest.raises(InputError, match=rf"{stage}/model\.safetensors: damaged; remove it to"):
        run(load_config("shapes", TINY), root)


@pytest.mark.usefixtures("_no_report")
def test_one_changed_byte_of_cached_features_is_noticed_and_mended(
    finished: Path, tmp_path: Path
) -> None:
    root = copy_of(finished, tmp_path)
    (features,) = (root / "features").iterdir()
    flip(features)
    with pytest.warns(UserWarning, match=r"\.npz: damaged; the features are computed anew"):
        run(load_config("shapes", TINY), root)
    assert_same_weights(finished, root)


@pytest.mark.usefixtures("_no_report")
def test_an_empty_file_of_cached_features_is_mended(finished: Path, tmp_path: Path) -> None:
    root = copy_of(finished, tmp_path)
    (features,) = (root / "features").iterdir()
    features.write_bytes(b"")
    with pytest.warns(UserWarning, match=r"\.npz: damaged; the features are computed anew"):
        run(load_config("shapes", TINY), root)
    assert features.stat().st_size


@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
def test_one_changed_byte_of_a_state_is_noticed(at: float, tmp_path: Path) -> None:
    path = tmp_path / "teacher.pt"
    folder.save_state(path, {"module": {"a": torch.randn(999)}, "records": [{"epoch": 1}]})
    assert folder.load_state(path)["records"] == [{"epoch": 1}]
    flip(path, at)
    with pytest.raises(InputError, match=r"teacher\.pt: damaged; remove it to start this stage"):
        folder.load_state(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00\xff", '{"epoch": 1}\n3\n'])
@pytest.mark.parametrize("name", ["result.json", "history/teacher.jsonl", "teacher/accuracy.json"])
def test_a_damaged_file_is_one_sentence_that_names_it(
    name: str, text: str, finished: Path, tmp_path: Path
) -> None:
    if name == "history/teacher.jsonl" and not text:
        text = "{"
    root = copy_of(finished, tmp_path)
    (root / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=rf"{name}: damaged; remove it to"):
        run(load_config("shapes", TINY), root)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.json", '{"train": 3}'),
        ("history/teacher.jsonl", "{}"),
        ("history/teacher.jsonl", '{"epoch": 1}'),
        ("history/teacher.jsonl", '{"epoch": "one"}'),
    ],
)
def test_a_file_that_lacks_something_is_one_sentence_that_names_it(
    name: str, text: str, finished: Path, tmp_path: Path
) -> None:
    root = copy_of(finished, tmp_path)
    (root / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}: damaged; remove it to"):
        run(load_config("shapes", TINY), root)


def test_a_finished_run_without_a_result_or_a_student_is_said(
    finished: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    shutil.copytree(finished, root)
    shutil.rmtree(root / "student")
    with pytest.raises(InputError, match=r"run/student: is gone; remove .*result\.json"):
        run(load_config("shapes", TINY), root)
    (root / "result.json").write_text("{}")
    with pytest.raises(InputError, match=r"result\.json: damaged; remove it to"):
        run(load_config("shapes", TINY), root)
