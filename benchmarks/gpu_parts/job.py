"""What `benchmarks.gpu` is asked for, and how it runs commands within its time."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRACE = 60  # seconds for a command to end after it was interrupted
SMALL = [
    "data.points=64",
    "data.per_class=4",
    "views.size=32",
    "generator.points=32",
    "options={width: 0.25, centres: [16, 8], neighbours: [[4], [4]], feature_dim: 64}",
]
Report = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes:
        device: "cuda" or "cpu"; on the CPU everything is small.
        output: the folder of results.
        data: ModelNet40's HDF5 folder, or "".
        end: when to stop, by `time.monotonic`.
    """

    device: str
    output: Path
    data: str
    end: float

    @property
    def small(self) -> bool:
        return self.device == "cpu"

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()


def program(name: str) -> Path:
    return Path(sys.executable).with_name(f"pointcmt-{name}")


def command(job: Job, *words: object) -> Report:
    """Run a command until it or the time is over; return its status and the end of its words."""
    process = subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=max(1.0, job.left))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            said, _ = process.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
    last = [line for line in said.replace("\r", "\n").splitlines() if line.strip()][-1:]
    return {"status": process.returncode, "said": "".join(last)}
