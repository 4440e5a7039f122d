"""Whole runs on a few embedded shapes: results, resuming after a kill, and refusals."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pointcmt.checkpoint import load_student, read_training_checkpoint
from pointcmt.errors import InputError
from pointcmt_training.distillation import METHODS
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

TINY = [
    "data.points=64",
    "data.per_class=3",
    "options={width: 0.25, centres: [16, 8], neighbours: [[4], [4]], feature_dim: 64}",
    "views.size=16",
    "teacher.batch_size=12",
    "teacher.epochs=3",
    "generator.points=16",
    "generator.batch_size=12",
    "generator.epochs=3",
    "training.batch_size=12",
    "training.epochs=3",
    "checkpoint_seconds=0",
    "device=cpu",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("run") / "whole"
    run(load_config("shapes", TINY), root)
    return root


def weights(root: Path) -> dict[str, torch.Tensor]:
    files = ["teacher/model.safetensors", "generator/model.safetensors"]
    files.append("student/model.safetensors")
    return {f"{f}:{k}": t for f in files for k, t in load_file(root / f).items()}


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    different = [key for key in first if not torch.equal(first[key], second[key])]
    assert not different


def test_a_run_leaves_everything_in_its_place(finished: Path) -> None:
    assert {p.name for p in finished.iterdir()} == {
        "config.yaml",
        "teacher",
        "generator",
        "student",
        "features",
        "history",
        "checkpoint.safetensors",
        "result.json",
        "report.html",
    }


def test_the_result_is_what_the_saved_student_does(finished: Path) -> None:
    from pointcmt.data import Shapes

    student, config = load_student(finished / "student")
    test = Shapes("test", 1, 64)
    with torch.no_grad():
        predicted = student(torch.from_numpy(test.points)).argmax(1).numpy()
    result = json.loads((finished / "result.json").read_text())
    assert config.classes == test.classes
    assert result["student"]["overall"] == pytest.approx((predicted == test.labels).mean())
    assert sum(map(sum, result["confusion"])) == len(test)


def test_the_history_has_a_line_an_epoch_with_every_loss(finished: Path) -> None:
    lines = (finished / "history" / "training.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    for record in records:
        parts = record["cross_entropy"] + record["feature"] + record["classifier"]
        assert record["loss"] == pytest.approx(parts, rel=1e-4)


def test_the_checkpoint_still_holds_teacher_and_generator(finished: Path) -> None:
    _, parts = read_training_checkpoint(finished / "checkpoint.safetensors")
    assert set(parts) == {"student", "teacher", "generator"}
    saved = load_file(finished / "student" / "model.safetensors")
    assert all(torch.equal(parts["student"][key], tensor) for key, tensor in saved.items())


def test_the_report_is_self_contained(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page
    assert "cross_entropy" not in page
    assert "What the generator decodes" in page


DIES = """
import os, signal, sys
from pathlib import Path
from pointcmt_training import loop
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

stage, epoch, root, *settings = sys.argv[1:]
save = loop.save_state

def save_or_die(path, state):
    if path.stem == stage and len(state["records"]) == int(epoch):
        os.kill(os.getpid(), signal.SIGKILL)
    save(path, state)

loop.save_state = save_or_die
run(load_config("shapes", settings), Path(root))
"""


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("stage", ["teacher", "generator", "training"])
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(
    stage: str, epoch: int, finished: Path, tmp_path: Path
) -> None:
    """SIGKILL after an epoch, just before its state is saved, so that work is lost each time."""
    root = tmp_path / "killed"
    command = [sys.executable, "-c", DIES, stage, str(epoch), root, *TINY]
    died = subprocess.run(command, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert (root / "state" / f"{stage}.pt").exists() == (epoch > 1)
    assert not (root / "result.json").exists()
    run(load_config("shapes", TINY), root)
    assert_same_weights(finished, root)


def test_another_configuration_does_not_touch_a_finished_run(finished: Path) -> None:
    before = (finished / "result.json").read_bytes()
    with pytest.raises(InputError, match=r"another run \(seed is 0 there, 1 here\)"):
        run(load_config("shapes", [*TINY, "seed=1"]), finished)
    assert (finished / "result.json").read_bytes() == before


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(InputError, match="holds no run"):
        run(load_config("shapes", TINY), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_features_are_computed_once_for_the_same_teacher_and_data(finished: Path) -> None:
    assert len(list((finished / "features").iterdir())) == 1


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_trains_on_the_stages_of_another_run(
    method: str, finished: Path, tmp_path: Path
) -> None:
    settings = [*TINY, f"method={method}", f"stages_from={finished}", "training.epochs=1"]
    result = run(load_config("shapes", settings), tmp_path / method)
    assert 0 <= result["student"]["overall"] <= 1
    assert (result["teacher"] is None) == (method == "none")
    assert not (tmp_path / method / "teacher").exists()


def test_stages_of_a_run_that_was_trained_otherwise_are_refused(
    finished: Path, tmp_path: Path
) -> None:
    settings = [*TINY, f"stages_from={finished}", "teacher.epochs=2"]
    with pytest.raises(InputError, match=r"teacher\.epochs is 3 there, 2 here"):
        run(load_config("shapes", settings), tmp_path / "run")


def test_selection_by_a_validation_split_keeps_its_best_epoch(tmp_path: Path) -> None:
    settings = [*TINY, "method=none", "data.validation=0.34", "training.selection=validation"]
    run(load_config("shapes", settings), tmp_path / "run")
    text = (tmp_path / "run" / "history" / "training.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    assert all("validation_accuracy" in record for record in records)
    assert not any("test_accuracy" in record for record in records)


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    settings = [*TINY, "method=none", "training.batch_size=1000"]
    with pytest.raises(InputError, match=r"training\.batch_size=1000.*36 training samples"):
        run(load_config("shapes", settings), tmp_path / "run")
