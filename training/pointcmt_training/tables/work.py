"""Training what a table lacks: run by run, several side by side, each resumed where it stopped."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import torch

from pointcmt.errors import InputError
from pointcmt.processes import clean_context, follow_parent
from pointcmt_training.folder import RunFolder
from pointcmt_training.held import held
from pointcmt_training.prepare import prepare
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run
from pointcmt_training.stages.teaching import measures, teach
from pointcmt_training.tables.jobs import Job

Failures = dict[str, str]  # a job's name -> why it failed, a sentence


def finished(job: Job, root: Path) -> bool:
    """Tell whether a job is done."""
    folder = RunFolder(root / job.name)
    return measures(folder).is_file() if job.teaches else folder.result.is_file()


def train(job: Job, root: Path) -> None:
    """Do one job in this process; what is done of it is kept.

    Raises:
        InputError: its data or settings are unusable.
    """
    folder = RunFolder(root / job.name)
    config = job.config
    needed = str(root / job.needs)
    if job.needs and config.segments:
        config = dataclasses.replace(config, start=needed)
    elif job.needs:
        config = dataclasses.replace(config, stages_from=needed)
    if not job.teaches:
        run(config, folder.root)
        return
    if folder.config.is_file():  # begun for another student with the same D
        config = load_config(str(folder.config))
    inputs, student = prepare(config)
    with held(folder.root):
        folder.claim(config, inputs.identity)
        teach(config, inputs, folder, student.feature_dim)


def train_all(
    jobs: Mapping[str, Job],
    root: Path,
    side_by_side: int,
    failures: Failures,
    done: Callable[[str], None],
) -> None:
    """Do all jobs that are not finished, each after the one it needs.

    Args:
        jobs: by name; a job stands behind the one it needs.
        root: the folder of all tables.
        side_by_side: how many at once; 1 works in this process.
        failures: takes those that fail.
        done: called after each job with its name and how it ended.
    """
    missing = [job for job in jobs.values() if not finished(job, root)]
    attempt = _attempt if side_by_side == 1 else partial(_apart, _share(side_by_side))
    for job, reason in _outcomes(missing, partial(attempt, root), side_by_side, failures):
        if reason:
            failures[job.name] = reason
        done(f"{job.name}: {reason or 'done'}")


def _outcomes(
    pending: list[Job], attempt: Callable[[Job], str], side_by_side: int, failures: Failures
) -> Iterator[tuple[Job, str]]:
    """Start the first job that is ready whenever there is room; yield each as it ends."""
    if side_by_side == 1:
        for job in pending:
            yield job, failures.get(job.needs) or attempt(job)
        return
    running: dict[Future[str], Job] = {}
    with ThreadPoolExecutor(side_by_side) as pool:
        while pending or running:
            waited_for = {job.name for job in (*pending, *running.values())}
            ready = [job for job in pending if job.needs not in waited_for]
            for job in ready[: side_by_side - len(running)]:
                pending.remove(job)
                if job.needs in failures:
                    yield job, failures[job.needs]
                else:
                    running[pool.submit(attempt, job)] = job
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                yield running.pop(future), future.result()


def _attempt(root: Path, job: Job) -> str:
    """Do a job; return why it failed, or the empty string."""
    try:
        train(job, root)
    except InputError as error:
        return str(error)
    return ""


def _apart(threads: int, root: Path, job: Job) -> str:
    """Do a job in a process of its own; if that is killed, it takes no other with it."""
    log = root / f"{job.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    context = clean_context(__name__)
    with ProcessPoolExecutor(1, context, _begin, (threads, log)) as process:
        try:
            return process.submit(_attempt, root, job).result()
        except BrokenProcessPool:
            return f"its process was killed, perhaps for want of memory; see {log}"


def _share(side_by_side: int) -> int:
    """Return the threads of each process, so that all together have a core each."""
    return max(1, torch.get_num_threads() // side_by_side)


def _begin(threads: int, log: Path) -> None:
    follow_parent()
    torch.set_num_threads(threads)
    sys.stdout = sys.stderr = log.open("a", buffering=1)
