"""The study: its statistics against scipy's paired test, and the order and options of its runs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import study
from benchmarks.study_parts.picture import IMAGES, draw
from benchmarks.study_parts.plan import (
    ARMS,
    BUDGETS,
    NETWORKS,
    OWN,
    TEACHING,
    Run,
    needs,
    options,
    plan,
)
from benchmarks.study_parts.tables import gain, interval, paired, table
from pointcmt_training.recipe import load_config

OTHER = "FE + CE, balanced"


def results(seeds: int = 5) -> dict[Run, float]:
    rng = np.random.default_rng(0)
    runs = [
        Run(0.02, subset, seed, arm)
        for arm in ("control", OTHER)
        for subset in (0, 1)
        for seed in range(seeds)
    ]
    return dict(zip(runs, rng.uniform(0.6, 0.7, len(runs)), strict=True))


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    from scipy.stats import ttest_rel  # a second to import

    found = results()
    differences = paired(found, 0.02, OTHER, "control")
    arms = [[v for r, v in sorted(found.items()) if r.arm == arm] for arm in (OTHER, "control")]
    expected = ttest_rel(*arms).confidence_interval(0.95)
    centre, half = interval(differences)
    assert (centre - half, centre + half) == pytest.approx(
        (100 * expected.low, 100 * expected.high)
    )


def test_a_run_without_its_control_is_in_no_difference() -> None:
    found = results()
    del found[Run(0.02, 0, 3, "control")]
    assert len(paired(found, 0.02, OTHER, "control")) == 9


def test_a_second_network_is_paired_with_itself_and_has_a_section_of_its_own() -> None:
    found = results(2)
    for run, value in results(2).items():
        found[replace(run, network="pointnext-s")] = value + (run.arm == OTHER) * 0.1
    assert paired(found, 0.02, OTHER, "control") == paired(results(2), 0.02, OTHER, "control")
    apart = np.subtract(
        paired(found, 0.02, OTHER, "control", "pointnext-s"),
        paired(found, 0.02, OTHER, "control"),
    )
    assert apart == pytest.approx([10] * 4)
    text = table(found, {}, 0.02, "pointnext-s")
    assert text.startswith("## 2% of the training split, a reduced PointNeXt-S\n")
    assert text.count("4 of 10") == 2
    assert gain(paired(found, 0.02, OTHER, "control", "pointnext-s")) in text


def test_a_second_network_has_the_teachers_of_the_first() -> None:
    runs = list(plan([0.02], list(ARMS), networks=["pointnext-s"]))
    assert {run.arm for run in runs} == {*NETWORKS["pointnext-s"].arms}
    first = Run(0.02, 1, 3, OTHER)
    assert needs(replace(first, network="pointnext-s")) == needs(first)
    (control,) = needs(replace(first, arm=OWN, network="pointnext-s"))
    assert (control.arm, control.network) == ("control", "pointnext-s")
    chosen = options(replace(first, network="pointnext-s"), 197)
    assert load_config("modelnet40_2pct", chosen).student == "pointnext-s"
    assert not list(plan([0.05], list(ARMS), networks=["pointnext-s"]))


def test_the_table_says_how_many_runs_there_are_and_what_the_paper_has() -> None:
    text = table(results(2), {Run(0.02, 0, 0, TEACHING): 0.684}, 0.02)
    assert text.count("4 of 10") == 2
    assert text.count(" minus own logits |") == 1
    assert "73.3 to 75.2" in text
    assert "68.4%" in text


def test_what_a_run_needs_comes_before_it() -> None:
    done: set[Run] = set()
    for run in plan(list(BUDGETS), list(ARMS)):
        assert all(one in done or one.arm == TEACHING for one in needs(run))
        done.add(run)
    assert len({run.folder for run in done}) == len(done)


@pytest.mark.parametrize("arm", [*ARMS, TEACHING])
def test_every_run_is_a_recipe_of_so_many_steps(arm: str) -> None:
    chosen = options(Run(0.02, 1, 3, arm), 197)
    config = load_config("modelnet40_2pct", chosen)
    assert (config.data.subset_seed, config.seed) == (1, 3)
    assert config.training.epochs * (197 // 16) == (12 if arm == TEACHING else 2400)
    assert bool(config.data.unlabelled) == arm.startswith("unlabelled")


def test_a_finished_run_is_not_repeated_and_the_tables_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(study.subprocess, "run", refuse)
    for run, overall in results(2).items():
        folder = tmp_path / run.folder
        folder.mkdir()
        (folder / "result.json").write_text(json.dumps({"student": {"overall": overall}}))
        study.train(run, tmp_path, Path("nowhere"), 197)
    with pytest.raises(AssertionError, match="trained again"):
        study.train(Run(0.02, 0, 2, OWN), tmp_path, Path("nowhere"), 197)
    found = {run: study.overall(tmp_path, run) for run in results(2)}
    study.write(tmp_path, found)
    assert study.earlier(tmp_path) == found
    assert len(json.loads((tmp_path / "study.json").read_text())) == 8
    assert "Finished: 8 of " in (tmp_path / "study.md").read_text()
    assert (tmp_path / "study.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_has_a_dot_for_every_run_a_bar_at_every_mean_and_the_gain(
    tmp_path: Path,
) -> None:
    found = results(2)
    found |= {Run(r.fraction, r.subset, r.seed, IMAGES): v + 0.05 for r, v in found.items()}
    others = {replace(run, network="pointnext-s"): 0.99 for run in found}
    axes = draw({**found, **others}, tmp_path / "study.png")
    dots, bars = axes.collections[:2]
    values = [100 * value for run, value in found.items() if run.arm == "control"]
    assert sorted(np.asarray(dots.get_offsets())[:, 1]) == pytest.approx(sorted(values))
    assert bars.get_segments()[0][0, 1] == pytest.approx(np.mean(values))
    assert axes.texts[0].get_text() == gain(paired(found, 0.02, IMAGES, "control"))


@pytest.mark.parametrize("failing", [False, True])
def test_the_command_trains_the_seeds_and_subsets_asked_for_each_after_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    trained: list[Run] = []

    def train(run: Run, *_: object) -> None:
        trained.append(run)
        if failing and run.arm == OTHER:
            raise ValueError("broken")
        (tmp_path / run.folder).mkdir(exist_ok=True)
        kind = "teacher" if run.arm == TEACHING else "student"
        (tmp_path / run.folder / "result.json").write_text(json.dumps({kind: {"overall": 0.5}}))

    monkeypatch.setattr(study, "train", train)
    monkeypatch.setattr(study, "ModelNet40", lambda *_: None)
    monkeypatch.setattr(study, "class_balanced_subset", lambda *_: range(197))
    words = ["study", "--data", "nowhere", "--runs", str(tmp_path), "--fractions", "0.02"]
    chosen = ["--seeds", "7", "--subsets", "3", "--arms", "control", OTHER, OWN]
    chosen += ["--networks", "pointnet2-ssg"]
    monkeypatch.setattr(study.sys, "argv", [*words, *chosen])
    with pytest.raises(SystemExit) as done:
        study.main()
    assert done.value.code == int(failing)
    teaching = Run(0.02, 3, 0, TEACHING)
    assert set(trained) == {teaching, *(Run(0.02, 3, 7, arm) for arm in ("control", OTHER, OWN))}
    assert trained.index(teaching) < trained.index(Run(0.02, 3, 7, OTHER))
    assert trained.index(Run(0.02, 3, 7, "control")) < trained.index(Run(0.02, 3, 7, OWN))
    before = len(trained)
    with pytest.raises(SystemExit):
        study.main()
    assert trained[before:] == [teaching, Run(0.02, 3, 7, OTHER)] * failing
