"""Running every engine on every target, each in a process of its own."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt_export.bench_machine import describe_machine
from pointcmt_export.bench_worker import FEWEST_CALLS, WARM_UP, Job, arguments

Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is compared and how.

    Attributes:
        targets: model folders and exported folders of one student.
        engines: names in `ENGINES`.
        batches: batch sizes, smallest first.
        points: N, points a cloud.
        seconds: how long each engine runs at each batch size.
        threads: CPU threads of one call.
        device: "cpu" or "cuda".
    """

    targets: tuple[Path, ...]
    engines: tuple[str, ...]
    batches: tuple[int, ...]
    points: int
    seconds: float
    threads: int
    device: str


def benchmark(plan: Plan, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Measure every engine of `plan` on every target in a process of its own.

    Args:
        plan: what to measure.
        say: is told what is being measured.

    Returns:
        A report that JSON can hold: the machine, the protocol, and a record for each engine,
        target and batch size, `measured`, `failed` or `not run` with the reason.
    """
    with tempfile.TemporaryDirectory() as room:
        clouds = Path(room) / "clouds.npy"
        np.save(clouds, _clouds(max(plan.batches), plan.points))
        records: list[Record] = []
        for job in _jobs(plan, clouds):
            say(f"{job.engine} on {Path(job.target).name} ...")
            records += _run(job)
    _compare(records)
    return {"machine": describe_machine(), "protocol": _protocol(plan), "results": records}


def _clouds(count: int, points: int) -> NDArray[np.float32]:
    """(count, points, 3): embedded shapes in a fixed order that mixes the classes."""
    from pointcmt.data import SHAPES_CLASSES, Shapes

    shapes = Shapes(split="test", per_class=-(-count // len(SHAPES_CLASSES)), points=points)
    order = np.random.default_rng(0).permutation(len(shapes))[:count]
    return np.ascontiguousarray(shapes.points[order], dtype=np.float32)


def _jobs(plan: Plan, clouds: Path) -> Iterator[Job]:
    for engine in plan.engines:
        for target in plan.targets:
            yield Job(
                engine=engine,
                target=str(target),
                clouds=str(clouds),
                batches=plan.batches,
                seconds=plan.seconds,
                threads=plan.threads,
                device=plan.device,
                answers=str(clouds.with_name("answers.jsonl")),
            )


def _run(job: Job) -> list[Record]:
    """Run one job and return its records; what a killed process had measured is kept."""
    answers = Path(job.answers)
    answers.unlink(missing_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": str(job.threads)}
    done = subprocess.run(arguments(job), env=environment, capture_output=True, text=True)
    lines = answers.read_text().splitlines() if answers.is_file() else []
    records = [json.loads(line) for line in lines]
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        reason = f"the process ended with status {done.returncode}: {last}"
        records.append({"status": "failed", "reason": reason})
    known = {"engine": job.engine, "target": Path(job.target).name}
    return [known | record for record in records]


def _compare(records: list[Record]) -> None:
    """Replace each record's logits by their distance from torch's, and add the speed ratios.

    The reference of a batch size is torch-eager, or the first engine measured where torch is not.
    """
    for record in (r for r in records if r["status"] == "measured"):
        beside = [r for r in records if r.get("batch") == record["batch"]]
        named = [r for r in beside if r["engine"] == "torch-eager"]
        record["agreement"] = _agreement(record["logits"], (named or beside)[0]["logits"])
        if named:
            record["speedup"] = record["samples_per_s"] / named[0]["samples_per_s"]
        limits = [r for r in beside if r["engine"] == "gemm-limit"]
        if limits:
            record["share_of_limit"] = record["samples_per_s"] / limits[0]["samples_per_s"]
    for record in records:
        record.pop("logits", None)


def _agreement(logits: Any, reference: Any) -> dict[str, float] | None:
    ours, theirs = np.array(logits), np.array(reference)
    if ours.shape != theirs.shape or ours.size == 0:
        return None
    same = ours.argmax(axis=1) == theirs.argmax(axis=1)
    return {"max_difference": float(abs(ours - theirs).max()), "argmax": float(same.mean())}


def _protocol(plan: Plan) -> dict[str, Any]:
    return {
        "points": plan.points,
        "seconds": plan.seconds,
        "fewest_calls": FEWEST_CALLS,
        "warm_up_calls": WARM_UP,
        "threads": plan.threads,
        "device": plan.device,
        "clouds": "embedded shapes, test split, the same for every engine",
        "clock": "time.perf_counter around one call, the device synchronised",
        "copies": "a call starts and ends in host memory (on a GPU, `resident` leaves copies out)",
        "memory": "peak resident memory of the engine's process, libraries and weights included",
    }
