"""Whom self-training may learn from: a finished student of the same classes and clouds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pointcmt.checkpoint import ModelConfig, save_student
from pointcmt.data import SHAPES_CLASSES
from pointcmt.errors import InputError
from pointcmt.models import create_student
from pointcmt_training.folder import RunFolder
from pointcmt_training.prepare import prepare
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run
from tests.training.tiny import TINY

OPTIONS = {"width": 0.125, "feature_dim": 32}
KNOWN = ModelConfig("pointnet", OPTIONS, SHAPES_CLASSES, points=64, up="y")


def earlier(root: Path, **changes: Any) -> list[str]:
    """Write a student as a finished run has it; return the options of a run that learns from it."""
    config = replace(KNOWN, **changes)
    channels = {"channels": len(config.channels)}
    student = create_student(config.student, len(config.classes), **{**config.options, **channels})
    save_student(RunFolder(root).student, student, config)
    return [*TINY, "method=self", "distillation={}", f"distillation.run={root}"]


def test_a_student_of_the_same_clouds_is_learnt_from(tmp_path: Path) -> None:
    prepare(load_config("shapes", earlier(tmp_path / "control")))


NORMALS = ("x", "y", "z", "nx", "ny", "nz")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"classes": SHAPES_CLASSES[::-1]}, "trained for other classes"),
        ({"normalization": "unit-box"}, "its normalization is unit-box, that of shapes/train"),
        ({"up": "z"}, "its vertical axis is z"),
        (
            {"channels": NORMALS, "options": {**OPTIONS, "channels": 6}},
            "its channels is x, y, z, n",
        ),
        (
            {"student": "dgcnn", "options": {**OPTIONS, "k": 70}, "points": 128},
            "needs 70 points, and a cloud has 64",
        ),
    ],
)
def test_another_student_is_refused_before_the_folder_is_taken(
    changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    config = load_config("shapes", earlier(tmp_path / "control", **changes))
    with pytest.raises(InputError, match=reason):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_class_of_ones_own_is_refused_by_what_one_can_do(tmp_path: Path) -> None:
    settings = earlier(tmp_path / "control")
    file = RunFolder(tmp_path / "control").student / "config.json"
    file.write_text(file.read_text().replace('"pointnet"', '"my_package:MyNet"'))
    with pytest.raises(InputError, match="class my_package:MyNet, which is code, and only the run"):
        prepare(load_config("shapes", settings))
