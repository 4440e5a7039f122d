"""What the published weights lack: one change an arm, and differences of the same seed."""

import json
from pathlib import Path

import pytest

from benchmarks.published import FRACTION, PUBLISHED, write
from benchmarks.study_parts.plan import ARMS, CHANGED, Run, options
from pointcmt_training.distillation.pointcmt import PointCMT
from pointcmt_training.recipe import load_config


def distillation(arm: str) -> PointCMT:
    words = [w for w in options(Run(FRACTION, 0, 0, arm), 984) if not w.startswith("data.")]
    found = load_config("modelnet40_2pct", words).distillation
    assert isinstance(found, PointCMT)
    return found


def test_each_arm_changes_one_thing_of_the_published_weights() -> None:
    published = vars(distillation(PUBLISHED))
    assert published["feature"] == 30
    assert published["classifier"] == 0.3
    changes = [set(vars(distillation(arm)).items()) - set(published.items()) for arm in CHANGED]
    assert changes == [{("supervise", 1.0)}, {("reduction", "batchmean")}]
    assert not set(CHANGED) & set(ARMS)


def test_differences_are_of_one_seed(tmp_path: Path) -> None:
    known = {
        Run(FRACTION, 0, seed, arm): value
        for arm, values in (("control", (0.8, 0.82, 0.81)), (PUBLISHED, (0.7, 0.71, 0.75)))
        for seed, value in enumerate(values)
    }
    known[Run(0.05, 0, 0, "control")] = 0.1
    arm = next(iter(CHANGED))
    write(tmp_path, known, {arm: {1: 0.77, 2: 0.78}})
    rows = [line.split(" | ") for line in (tmp_path / "published.md").read_text().splitlines()[-3:]]
    control, published, changed = ([cell.strip("| ") for cell in row] for row in rows)
    assert control[1:] == ["0: 80.0, 1: 82.0, 2: 81.0", "81.0", "", ""]
    assert published[2:] == ["72.0", "-9.0 ± 6.6", ""]
    assert changed[0] == arm
    assert changed[2] == "77.5"
    assert changed[3].startswith("-4.0")
    assert changed[4].startswith("+4.5")
    stored = json.loads((tmp_path / "published.json").read_text())
    assert stored[arm] == {"1": 0.77, "2": 0.78}
    assert stored["control"]["0"] == pytest.approx(0.8)
