"""Jobs in turn and side by side: order, what one needs, and what fails."""

import threading
from pathlib import Path

import pytest

from pointcmt_training.recipe import load_config
from pointcmt_training.tables import work
from pointcmt_training.tables.jobs import Job

CONFIG = load_config("shapes")
NEEDED = "stages/a"
JOBS = [
    Job("runs/control", CONFIG),
    Job(NEEDED, CONFIG),
    Job("runs/b", CONFIG, NEEDED),
    Job("runs/c", CONFIG, NEEDED),
    Job("runs/d", CONFIG),
]


def outcomes(side_by_side: int, failing: str = "") -> tuple[list[str], dict[str, str]]:
    order: list[str] = []
    lock = threading.Lock()

    def attempt(job: Job) -> str:
        with lock:
            order.append(job.name)
        return "no luck" if job.name == failing else ""

    failures: dict[str, str] = {}
    for job, reason in work._outcomes(list(JOBS), attempt, side_by_side, failures):
        if reason:
            failures[job.name] = reason
    return order, failures


@pytest.mark.parametrize("side_by_side", [1, 2, 9])
def test_every_job_is_done_once_after_the_one_that_it_needs(side_by_side: int) -> None:
    order, failures = outcomes(side_by_side)
    assert sorted(order) == sorted(job.name for job in JOBS)
    assert order.index(NEEDED) < min(order.index("runs/b"), order.index("runs/c"))
    assert not failures


@pytest.mark.parametrize("side_by_side", [1, 2])
def test_what_needs_a_failed_job_fails_with_its_sentence_and_the_others_go_on(
    side_by_side: int,
) -> None:
    order, failures = outcomes(side_by_side, failing=NEEDED)
    assert failures == dict.fromkeys([NEEDED, "runs/b", "runs/c"], "no luck")
    assert sorted(order) == ["runs/control", "runs/d", NEEDED]


def test_two_jobs_run_at_once_and_never_three() -> None:
    running, most = 0, 0
    lock, both = threading.Lock(), threading.Barrier(2, timeout=20)

    def attempt(job: Job) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if not job.needs and job.name != "runs/d":
            both.wait()
        with lock:
            running -= 1
        return ""

    list(work._outcomes(list(JOBS), attempt, 2, {}))
    assert most == 2


def test_a_finished_job_is_told_by_the_last_file_that_it_writes(tmp_path: Path) -> None:
    assert not any(work.finished(job, tmp_path) for job in JOBS)
    (tmp_path / NEEDED / "teacher").mkdir(parents=True)
    (tmp_path / NEEDED / "teacher" / "accuracy.json").touch()
    (tmp_path / "runs" / "b").mkdir(parents=True)
    (tmp_path / "runs" / "b" / "result.json").touch()
    assert [job.name for job in JOBS if work.finished(job, tmp_path)] == [NEEDED, "runs/b"]
