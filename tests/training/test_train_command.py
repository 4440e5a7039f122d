"""`pointcmt-train` from the shell's side: exit status, one sentence, no traceback."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from pointcmt_training.cli import main


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
