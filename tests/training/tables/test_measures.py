"""What a table reads from a finished run, in the units of its headings, and says of it."""

import json
from pathlib import Path

import pytest

from pointcmt_training.folder import RunFolder
from pointcmt_training.recipe import load_config
from pointcmt_training.tables.jobs import Job
from pointcmt_training.tables.measures import MEASURES, Finished
from pointcmt_training.tables.page import _protocol, _summary
from pointcmt_training.tables.results import Cell

WALL = {"teacher": [3600, 3600], "generator": [36], "training": [90, 90, 180]}


@pytest.fixture
def run(tmp_path: Path) -> Finished:
    """A student of 50 training clouds, its stages in a folder of their own."""
    folder, stages = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "stages")
    for section, seconds in WALL.items():
        path = (folder if section == "training" else stages).history(section)
        path.parent.mkdir(parents=True, exist_ok=True)
        records = [{"epoch": 1, "wall_seconds": s, "cpu_seconds": 7 * s} for s in seconds]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    sizes = {"train": {"a": 20, "b": 30}, "test": {"a": 1, "b": 2}}
    identity = {split: {"classes": c, "sha256": "0"} for split, c in sizes.items()}
    folder.data.write_text(json.dumps(identity))
    (stages.root / "teacher").mkdir()
    (stages.root / "teacher" / "accuracy.json").write_text('{"overall": 0.9, "mean_class": 0.8}')
    student, voted = {"overall": 0.5, "mean_class": 0.25}, {"overall": 0.625, "mean_class": 0.375}
    folder.result.write_text(
        json.dumps({"student": student, "voted": voted, "parameters": 1_480_000})
    )
    return Finished(folder, stages)


def test_each_figure_is_in_the_unit_of_its_heading(run: Finished) -> None:
    expected = {
        "OA": 50.0,
        "mAcc": 25.0,
        "OA, voted": 62.5,
        "mAcc, voted": 37.5,
        "teacher's OA": 90.0,
        "parameters (M)": 1.48,
        "I, h": 2.0,
        "II, h": 0.01,
        "III, h": 0.1,
        "I, ms a sample": 7200e3 / 100,
        "II, ms a sample": 36e3 / 50,
        "III, ms a sample": 360e3 / 150,
    }
    assert {name: MEASURES[name].of(run) for name in expected} == pytest.approx(expected)


def test_by_the_published_protocol_the_largest_voting_is_the_figure(run: Finished) -> None:
    result = json.loads(run.folder.result.read_text())
    published = {"overall": 0.75, "mean_class": 0.6875}
    run.folder.result.write_text(json.dumps(result | {"published": published}))
    assert (MEASURES["OA"].of(run), MEASURES["mAcc"].of(run)) == (75.0, 68.75)


def test_a_control_has_no_teacher_and_no_stages_before_its_own(run: Finished) -> None:
    control = Finished(run.folder, None)
    names = ("teacher's OA", "I, h", "II, ms a sample")
    assert [MEASURES[name].of(control) for name in names] == [None] * 3


def test_a_cell_says_its_spread_its_gain_and_how_many_runs_it_lacks() -> None:
    cell = Cell([80.0, 82.0], 3, [1.0, 2.0], 93.0, 1)
    assert str(cell) == "81.0 ± 1.4 (+1.5), 2 of 3"
    assert _summary(cell) == ["81", "1.41421", "1.5", "2", "80 82"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["protocol=paper"], "PUBLISHED PROTOCOL: best epoch on the TEST split"),
        (["training.selection=validation", "data.validation=0.2"], "best on the validation split"),
        (["data.fraction=0.05"], "5% of the training split"),
        (["evaluation.votes=10"], "last epoch, beside it the mean of 10 votes"),
    ],
)
def test_the_page_says_how_an_epoch_was_chosen_and_on_what(words: list[str], told: str) -> None:
    assert told in _protocol(Job("runs/a", load_config("shapes", words)))
    assert told not in _protocol(Job("runs/a", load_config("shapes")))
