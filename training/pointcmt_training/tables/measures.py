"""What a finished run says: the figures that the paper's tables are made of."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from pointcmt.checkpoint import load_student
from pointcmt_training.folder import RunFolder, write_json
from pointcmt_training.reading import read_history, read_identity, read_json
from pointcmt_training.stages.teaching import measures as teacher_measures

BATCH, SECONDS = 32, 1.0  # clouds of a timed batch, and how long to time
SECTIONS = {"I": "teacher", "II": "generator", "III": "training"}


@dataclass(frozen=True)
class Finished:
    """A finished student, and the folder of stages I and II that it learned from.

    Attributes:
        folder: the student's run.
        stages: of the teacher and generator; None where there are none.
    """

    folder: RunFolder
    stages: RunFolder | None

    @cached_property
    def result(self) -> dict[str, Any]:
        """The content of `result.json`."""
        return read_json(self.folder.result)


@dataclass(frozen=True)
class Measure:
    """A figure of a finished run.

    Attributes:
        of: reads or takes it; None where a run has none, such as a control's teacher.
        decimals: to print.
        better: 1 if more is better, -1 if less is, 0 if gains are not told.
    """

    of: Callable[[Finished], float | None]
    decimals: int = 1
    better: int = 0


def _accuracy(kind: str, run: Finished) -> float:
    """Return the plain figure; by the published protocol, the largest of its votings."""
    return 100 * float(run.result.get("published", run.result["student"])[kind])


def _voted(kind: str, run: Finished) -> float | None:
    voted = run.result.get("voted")
    return 100 * float(voted[kind]) if voted else None


def _teacher(run: Finished) -> float | None:
    if run.stages is None:
        return None
    return 100 * float(read_json(teacher_measures(run.stages))["overall"])


def _parameters(run: Finished) -> float:
    return float(run.result["parameters"]) / 1e6


def _hours(section: str, run: Finished) -> float | None:
    seconds, _ = _cost(section, run)
    return seconds / 3600 if seconds else None


def _milliseconds(section: str, run: Finished) -> float | None:
    seconds, samples = _cost(section, run)
    return 1000 * seconds / samples if seconds else None


def _cost(section: str, run: Finished) -> tuple[float, float]:
    """Return the wall seconds of a stage and the samples that it saw."""
    folder = run.folder if section == "training" else run.stages
    records = read_history(folder.history(section)) if folder else []
    clouds = sum(read_identity(run.folder.data)["train"]["classes"].values())
    return sum(record["wall_seconds"] for record in records), clouds * len(records)


def _speed(run: Finished) -> float:
    """Time the student once; the figure is kept beside it, since it is this machine's."""
    path = run.folder.root / "speed.json"
    if not path.is_file():
        write_json(path, {"samples_per_second": samples_per_second(run.folder.student)})
    return float(read_json(path)["samples_per_second"])


def samples_per_second(model: Path) -> float:
    """Return the median rate at which a student classifies random batches of 32 clouds."""
    student, config = load_student(model)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    student.to(device).eval()
    clouds = torch.rand(BATCH, config.points, len(config.channels), device=device) - 0.5
    times: list[float] = []
    with torch.inference_mode():
        student(clouds)
        while sum(times) < SECONDS or len(times) < 3:
            start = time.perf_counter()
            student(clouds).cpu()  # waits for the device
            times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times)


MEASURES: Mapping[str, Measure] = {
    "OA": Measure(partial(_accuracy, "overall"), better=1),
    "mAcc": Measure(partial(_accuracy, "mean_class"), better=1),
    "OA, voted": Measure(partial(_voted, "overall"), better=1),
    "mAcc, voted": Measure(partial(_voted, "mean_class"), better=1),
    "instance mIoU": Measure(partial(_accuracy, "instance_iou"), better=1),
    "class mIoU": Measure(partial(_accuracy, "class_iou"), better=1),
    "teacher's OA": Measure(_teacher),
    "samples/s": Measure(_speed, 0),
    "parameters (M)": Measure(_parameters, 2),
    **{f"{n}, ms a sample": Measure(partial(_milliseconds, s), 2) for n, s in SECTIONS.items()},
    **{f"{n}, h": Measure(partial(_hours, s), 4) for n, s in SECTIONS.items()},
}
