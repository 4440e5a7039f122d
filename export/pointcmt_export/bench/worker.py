"""Measuring one engine in a process of its own, so that its memory is its own."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt_export.bench.engines import find_engine
from pointcmt_export.bench.runner import CannotRunError, Clouds, Runner, Setup

WARM_UP = 3  # calls before the clock starts, the first of which may compile
FEWEST_CALLS = 5
MIB = 2**20
LONGEST_REASON = 600


@dataclass(frozen=True)
class Job:
    """What one process measures.

    Attributes:
        engine: a name that `find_engine` knows.
        target: the folder it is opened on.
        name: how the report calls the target.
        clouds: a .npy file with clouds (B, N, 3), B at least the largest of `batches`.
        batches: batch sizes, smallest first, so that the peak of memory is each batch's own.
        seconds: how long each batch size is measured.
        threads: CPU threads of one call.
        device: "cpu" or "cuda".
        allow: classes of one's own that a model may name.
        answers: where the results go, a line of JSON each.
    """

    engine: str
    target: str
    name: str
    clouds: str
    batches: tuple[int, ...]
    seconds: float
    threads: int
    device: str
    answers: str
    allow: tuple[str, ...] = ()


def run(job: Job) -> Iterator[dict[str, Any]]:
    """Yield one record a batch size, or one that says why there is none."""
    clouds = np.load(job.clouds)
    try:
        setup = Setup(Path(job.target), job.threads, job.device, job.allow)
        runner = find_engine(job.engine).open(setup)
        for batch in job.batches:
            yield _measured(runner, clouds[:batch], job)
    except CannotRunError as error:
        yield {"status": "not run", "reason": str(error)}
    except Exception as error:  # any engine may fail in its own way; the others go on
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        yield {"status": "failed", "reason": f"{type(error).__name__}: {reason}"}


def _measured(runner: Runner, clouds: Clouds, job: Job) -> dict[str, Any]:
    def call() -> NDArray[np.float32]:
        return runner.fetch(runner.infer(runner.stage(clouds)))

    start = time.perf_counter()
    logits = call()
    first = time.perf_counter() - start
    record = {"status": "measured", "batch": len(clouds), "first_call_s": first}
    record |= _times(call, len(clouds), job.seconds)
    if job.device == "cuda" and runner.stages:
        staged = runner.stage(clouds)
        record["resident"] = _times(lambda: runner.infer(staged), len(clouds), job.seconds)
    return record | {"peak_mib": peak_memory(), "logits": logits[:8].tolist()}


def _times(call: Callable[[], Any], batch: int, seconds: float) -> dict[str, Any]:
    for _ in range(WARM_UP - 1):
        call()
    times: list[float] = []
    busy = time.process_time()
    while sum(times) < seconds or len(times) < FEWEST_CALLS:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    busy = time.process_time() - busy
    p50, p90, p99 = (float(p) * 1000 for p in np.percentile(times, [50, 90, 99]))
    return {
        "calls": len(times),
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "samples_per_s": batch * len(times) / sum(times),
        "cpu_ms": busy / len(times) * 1000,
    }


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would count what the parent held before this process began
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def work(text: str) -> None:
    """Run the job that `text` describes in JSON and write its records as they come."""
    fields = json.loads(text)
    lists = {key: tuple(fields[key]) for key in ("batches", "allow")}
    job = Job(**(fields | lists))
    with Path(job.answers).open("w") as answers:
        for record in run(job):
            answers.write(json.dumps(record) + "\n")
            answers.flush()


def arguments(job: Job) -> list[str]:
    """Return the command line that runs `job`."""
    return [sys.executable, "-m", "pointcmt_export.bench.worker", json.dumps(asdict(job))]


if __name__ == "__main__":
    work(sys.argv[1])
