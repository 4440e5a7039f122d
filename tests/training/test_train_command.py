"""`pointcmt-train` from the shell's side: exit status, one sentence, no traceback."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from pointcmt.models import create_student
from pointcmt_training import run as running
from pointcmt_training.cli import main
from tests.training.tiny import TINY


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def assert_one_sentence(result: Result, *words: str) -> None:
    assert result.exit_code != 0
    assert result.output.startswith("Error: ")
    assert len(result.output.strip().splitlines()) == 1
    assert all(word in result.output for word in words), result.output


def test_list_names_the_recipes() -> None:
    result = call("--list")
    assert result.exit_code == 0
    assert {"shapes", "modelnet40", "modelnet40_2pct"} <= set(result.output.split())


def test_show_prints_the_resolved_configuration_and_trains_nothing(tmp_path: Path) -> None:
    result = call("shapes", "seed=5", "--show", "-o", tmp_path / "run")
    assert "seed: 5" in result.output
    assert not (tmp_path / "run").exists()


def test_an_unknown_key_is_one_sentence(tmp_path: Path) -> None:
    result = call("shapes", "sed=1", "-o", tmp_path / "run")
    assert_one_sentence(result, "sed", "did you mean seed")
    assert not (tmp_path / "run").exists()


def test_an_unknown_data_set_and_device_are_one_sentence(tmp_path: Path) -> None:
    assert_one_sentence(call("shapes", "data.name=shape", "-o", tmp_path / "a"), "shapes")
    assert_one_sentence(call("shapes", "device=abacus", "-o", tmp_path / "b"), "abacus")


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999", "1.5", "x"])
def test_a_seed_out_of_range_is_one_sentence(seed: str, tmp_path: Path) -> None:
    assert_one_sentence(call("shapes", f"seed={seed}", "-o", tmp_path / "run"), "seed=")
    assert not (tmp_path / "run").exists()


def test_a_dry_run_prints_shapes_parameters_and_needs_and_leaves_nothing(tmp_path: Path) -> None:
    result = call("shapes", *TINY, "--dry-run", "--json", "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    lines = json.loads(result.output)
    student = create_student(
        "pointnet2-ssg", 12, width=0.25, centres=[16, 8], neighbours=[[4], [4]], feature_dim=64
    )
    count = sum(p.numel() for p in student.parameters())
    assert lines["train"] == "24 x 64 x 3, x, y, z"
    assert lines["test"] == "12 x 64 x 3, x, y, z"
    assert lines["views"] == "projected, 6 x 1 x 16 x 16 an object"
    assert lines["student"] == f"pointnet2-ssg, {count:,} parameters, D = 64"
    for section in ("teacher", "generator", "training"):
        assert lines[f"{section} steps"] == "4: 2 epochs of 2 batches of 12"
        assert lines[f"{section} time"].startswith("about ")
        assert lines[f"{section} memory"].endswith(" GB held by a step")
    assert "data in memory" in lines
    assert not (tmp_path / "run").exists()
    control = call("shapes", *TINY, "method=none", "--dry-run")
    assert "student" in control.output
    assert "teacher" not in control.output


def test_an_interrupted_run_says_how_to_go_on_and_resume_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, settings = tmp_path / "run", [*TINY, "method=none"]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "train_student", interrupted)
        result = call("shapes", *settings, "-o", root)
    assert result.exit_code == 130
    assert result.stderr.strip() == f"Interrupted; go on with: pointcmt-train resume {root}"
    assert call("resume", root).exit_code == 0
    assert (root / "result.json").is_file()
    again = call("resume", root, "--json")
    assert json.loads(again.output)["student"]["overall"] >= 0


def test_an_interruption_before_the_run_has_a_folder_says_to_start_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "prepare", interrupted)
    result = call("shapes", *TINY, "-o", tmp_path / "run")
    assert result.exit_code == 130
    assert result.stderr.strip() == "Interrupted before anything was trained; start it again."


def test_nothing_to_resume_is_one_sentence(tmp_path: Path) -> None:
    assert_one_sentence(call("resume", tmp_path), "holds no run to resume")
    assert_one_sentence(call("resume", tmp_path / "nowhere"), "holds no run to resume")
    assert "pointcmt-train resume FOLDER" in call("resume").output
    assert "pointcmt-train resume FOLDER" in call("resume", tmp_path, "-o", "there").output


def _write(folder: Path, points: np.ndarray, labels: np.ndarray) -> None:
    for split in ("train", "test"):
        with h5py.File(folder / f"ply_data_{split}0.h5", "w") as file:
            file["data"], file["label"] = points, labels


@pytest.mark.parametrize("damage", ["missing", "truncated", "nan", "label", "one point", "empty"])
def test_unusable_hdf5_data_is_one_sentence_that_names_the_file(
    damage: str, tmp_path: Path
) -> None:
    points = np.random.default_rng(0).random((4, 1024, 3), np.float32)
    labels = np.zeros((4, 1), np.uint8)
    if damage == "nan":
        points[2, 5] = np.nan
    if damage == "label":
        labels[1] = 40
    if damage == "one point":
        points = points[:, :1]
    if damage == "empty":
        points = points[:, :0]
    if damage != "missing":
        _write(tmp_path, points, labels)
    if damage == "truncated":
        file = tmp_path / "ply_data_train0.h5"
        file.write_bytes(file.read_bytes()[:2000])
    result = call("modelnet40", f"data.root={tmp_path}", "-o", tmp_path / "run")
    assert_one_sentence(result, str(tmp_path))
