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

from pointcmt_export.bench.engines import find_engine
from pointcmt_export.bench.targets import Target
from pointcmt_export.bench.worker import FEWEST_CALLS, WARM_UP, Job, arguments
from pointcmt_export.machine import describe_machine, versions
from pointcmt_export.verify.clouds import with_channels

Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is compared and how.

    Attributes:
        targets: one student's weights and graphs.
        engines: names that `find_engine` knows.
        batches: batch sizes, smallest first.
        points: N, points a cloud.
        seconds: how long each engine runs at each batch size.
        threads: CPU threads of one call.
        device: "cpu" or "cuda".
        timeout: seconds after which an engine is given up; what it had measured is kept.
        bases: engines whose speed that of every engine is divided by.
        allow: classes of one's own that a model may name, see `load_student`.
    """

    targets: tuple[Target, ...]
    engines: tuple[str, ...]
    batches: tuple[int, ...]
    points: int
    seconds: float
    threads: int
    device: str
    timeout: float = 1800.0
    bases: tuple[str, ...] = ("torch-plain", "torch-eager")
    allow: tuple[str, ...] = ()


def benchmark(plan: Plan, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Measure every engine of `plan` on every target in a process of its own.

    Args:
        plan: what to measure.
        say: is told what is being measured.

    Returns:
        A report that JSON can hold: the machine, the protocol, and a record for each engine,
        target and batch size, `measured`, `failed` or `not run` with the reason.
    """
    records = [r for engine in plan.engines if not _opens(plan, engine) for r in _absent(engine)]
    with tempfile.TemporaryDirectory() as room:
        clouds = Path(room) / "clouds.npy"
        np.save(clouds, _clouds(max(plan.batches), plan.points, plan.targets[0].channels))
        for job in _jobs(plan, clouds):
            say(f"{job.engine} on {job.name} ...")
            records += _run(job, plan.timeout)
    _compare(records, plan.bases)
    machine = describe_machine() | {"packages": versions()}
    return {"machine": machine, "protocol": _protocol(plan), "results": records}


def _opens(plan: Plan, engine: str) -> list[Target]:
    """Return the targets an engine is measured on."""
    asked = find_engine(engine)
    found = [target for target in plan.targets if target.holds(asked.needs)]
    return found[:1] if asked.once else found


def _absent(engine: str) -> list[Record]:
    reason = f"no target holds a {find_engine(engine).needs}"
    return [{"engine": engine, "target": None, "status": "not run", "reason": reason}]


def _clouds(count: int, points: int, channels: tuple[str, ...]) -> NDArray[np.float32]:
    """(count, points, C): embedded shapes in a fixed order that mixes the classes."""
    from pointcmt.data import SHAPES_CLASSES, Shapes

    shapes = Shapes(split="test", per_class=-(-count // len(SHAPES_CLASSES)), points=points)
    order = np.random.default_rng(0).permutation(len(shapes))[:count]
    return with_channels(shapes.points[order], shapes.channels, channels)


def _jobs(plan: Plan, clouds: Path) -> Iterator[Job]:
    for engine in plan.engines:
        for target in _opens(plan, engine):
            yield Job(
                engine=engine,
                target=str(target.folder),
                name=target.name,
                clouds=str(clouds),
                batches=plan.batches,
                seconds=plan.seconds,
                threads=plan.threads,
                device=plan.device,
                allow=plan.allow,
                answers=str(clouds.with_name("answers.jsonl")),
            )


def _run(job: Job, timeout: float) -> list[Record]:
    """Run one job and return its records; what a killed process had measured is kept."""
    answers = Path(job.answers)
    answers.unlink(missing_ok=True)
    failure = _execute(job, timeout)
    lines = answers.read_text().splitlines() if answers.is_file() else []
    records = [json.loads(line) for line in lines]
    if failure:
        records.append({"status": "failed", "reason": failure})
    known = {"engine": job.engine, "target": job.name}
    return [known | record for record in records]


def _execute(job: Job, timeout: float) -> str | None:
    """Run one job in a process of its own and return why it did not end well, or None."""
    environment = os.environ | {"OMP_NUM_THREADS": str(job.threads)}
    try:
        done = subprocess.run(
            arguments(job), env=environment, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return f"given up after {timeout:g} s"
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"the process ended with status {done.returncode}: {last}"


def _compare(records: list[Record], bases: tuple[str, ...]) -> None:
    """Replace each record's logits by their distance from torch's, and add ratios of speed.

    The logits' reference is, at each batch size, the first engine measured: plain torch, unless it
    was left out. What computes no logits gives none.
    """
    for record in (r for r in records if r["status"] == "measured"):
        beside = [r for r in records if r.get("batch") == record["batch"]]
        if record["logits"][0]:
            first = next(r["logits"] for r in beside if r["logits"][0])
            record["agreement"] = _agreement(record["logits"], first)
        record["speed_over"] = {
            base["engine"]: record["samples_per_s"] / base["samples_per_s"]
            for base in reversed(beside)
            if base["engine"] in bases
        }
    for record in records:
        record.pop("logits", None)


def _agreement(logits: Any, reference: Any) -> dict[str, float]:
    ours, theirs = np.array(logits), np.array(reference)
    same = ours.argmax(axis=-1) == theirs.argmax(axis=-1)
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
        "cpu_ms": "processor time of all threads a call, which a busy machine distorts less",
        "memory": "peak resident memory of the engine's process, libraries and weights included",
    }
