"""Accuracy against speed on ModelNet40: narrower students, distilled ones, and a cascade of two.

    python -m benchmarks.pareto --data FOLDER [--runs runs/pareto] [--workers 2]
                                [--rounds 5] [--output benchmarks/results]

FOLDER holds ModelNet40's HDF5 files. Trains the recipe `modelnet40_small` in each size of `SIZES`,
the narrower ones also by `method=self` from the widest (softened logits, no images). Every point is
a model folder, RUNS/NAME/student, and what is measured is its exported file through `Classifier` on
the CPU: accuracy on the whole test split after the last epoch, and clouds a second, prepared
and answered 32 at a time and one by one, all taking turns in every round; medians. In a cascade a
narrowest student answers where its first class leads the second by a margin of probability, and
the widest answers the rest; all margins of `MARGINS` are shown, none is chosen. Runs that are
finished are not repeated. Writes pareto.{json,md,png}.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import processor
from benchmarks.pareto_parts.plan import (
    NARROWEST,
    SIZES,
    WIDEST,
    Key,
    Point,
    Step,
    plan,
)
from benchmarks.pareto_parts.report import write
from pointcmt.data import ModelNet40
from pointcmt_export.exporter import export
from pointcmt_export.options import Grid, Options
from pointcmt_serve import Classifier

Clouds = NDArray[np.float32]
TIMED = 512  # clouds of the test split that speed is measured on
BATCH = 32
MARGINS = (0.05, 0.1, 0.2, 0.3, 0.5)


def folder(runs: Path, size: str, distilled: bool, seed: int) -> Path:
    return runs / f"{size}{'-distilled' if distilled else ''}-{seed}"


def train(runs: Path, data: Path, size: str, distilled: bool, seed: int) -> None:
    program = Path(sys.executable).with_name("pointcmt-train")
    words: list[str | Path] = [
        f"data.root={data}",
        f"options={SIZES[size].options}",
        f"seed={seed}",
    ]
    if distilled:
        words += ["method=self", f"distillation.run={folder(runs, WIDEST, False, 0)}"]
    run = folder(runs, size, distilled, seed)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [program, "modelnet40_small", *words, "-o", run]
    subprocess.run(command, check=True, env=environment)


def exported(run: Path) -> Classifier:
    """Return the classifier of a run's exported file, written where it is not there yet."""
    made = run / "exported"
    if not made.is_dir():
        export(run / "student", made, Options(sampling="host", grid=Grid((1, BATCH), (1024,))))
    return Classifier(made, device="cpu")


def probabilities(classifier: Classifier, clouds: Clouds) -> NDArray[np.float64]:
    """Return (B, C), 32 clouds a call."""
    parts = range(0, len(clouds), BATCH)
    return np.stack([p.probabilities for i in parts for p in classifier(clouds[i : i + BATCH])])


def seconds(call: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def one_by_one(classifier: Classifier, clouds: Clouds) -> None:
    for cloud in clouds[:BATCH]:
        classifier(cloud)


def margin(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much the first class leads the second, (B,)."""
    first_two = np.sort(found, axis=1)[:, -2:]
    return np.asarray(first_two[:, 1] - first_two[:, 0])


def cascade(quick: Classifier, slow: Classifier, clouds: Clouds, least: float) -> NDArray[np.int64]:
    """Return the class of each cloud and leave the unsure ones to `slow`."""
    found = probabilities(quick, clouds)
    unsure = margin(found) < least
    answers: NDArray[np.int64] = found.argmax(axis=1)
    if unsure.any():
        answers[unsure] = probabilities(slow, clouds[unsure]).argmax(axis=1)
    return answers


class Measured:
    """The students of all runs on the test split."""

    def __init__(self, runs: Path, test: ModelNet40) -> None:
        self.clouds, self.labels = test.points, test.labels
        self.students = {
            key: exported(folder(runs, *key))
            for key in plan()
            if (folder(runs, *key) / "result.json").is_file()
        }
        self.found = {key: probabilities(s, self.clouds) for key, s in self.students.items()}
        self.parameters = {
            key: json.loads((folder(runs, *key) / "result.json").read_text())["parameters"]
            for key in self.students
        }
        order = np.random.default_rng(0).permutation(len(self.labels))[:TIMED]
        self.timed = self.clouds[order]

    def accuracy(self, answers: NDArray[np.int64]) -> float:
        return float((answers == self.labels).mean())

    def points(self, rounds: int) -> list[Point]:
        """Return every student with its accuracy and speed."""
        taken: dict[Key, list[tuple[float, float]]] = {}
        for _ in range(rounds):
            for key, student in self.students.items():
                together = TIMED / seconds(probabilities, student, self.timed)
                alone = BATCH / seconds(one_by_one, student, self.timed)
                taken.setdefault(key, []).append((together, alone))
        return [
            Point(
                *key,
                self.parameters[key],
                self.accuracy(self.found[key].argmax(axis=1)),
                tuple(np.median(taken[key], axis=0)),
            )
            for key in self.students
        ]

    def steps(self, rounds: int) -> list[Step]:
        """Return the cascades at every margin."""
        slow = (WIDEST, False, 0)
        pairs = [key for key in self.students if (key[0], key[2]) == (NARROWEST, 0)]
        taken: dict[tuple[bool, float], list[float]] = {}
        for _ in range(rounds):
            for key in pairs:
                for least in MARGINS:
                    two = self.students[key], self.students[slow]
                    spent = seconds(cascade, *two, self.timed, least)
                    taken.setdefault((key[1], least), []).append(TIMED / spent)
        return [
            Step(
                key[1],
                least,
                *self._cascade(key, slow, least),
                float(np.median(taken[key[1], least])),
            )
            for key in pairs
            for least in MARGINS
        ]

    def _cascade(self, quick: Key, slow: Key, least: float) -> tuple[float, float]:
        """Return the share of the test split that `slow` answers, and the accuracy."""
        unsure = margin(self.found[quick]) < least
        answers = np.where(
            unsure, self.found[slow].argmax(axis=1), self.found[quick].argmax(axis=1)
        )
        return float(unsure.mean()), self.accuracy(answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/pareto"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--measure-only", action="store_true", help="of the runs that are finished")
    chosen = parser.parse_args()
    runs = chosen.runs.absolute()
    if not chosen.measure_only:
        train(runs, chosen.data, WIDEST, False, 0)
        with ThreadPoolExecutor(chosen.workers) as pool:
            list(pool.map(lambda key: train(runs, chosen.data, *key), plan()))
    load = round(os.getloadavg()[0], 1)
    measured = Measured(runs, ModelNet40(chosen.data, "test", 1024))
    about = f"{processor()}, {os.cpu_count()} threads, load before {load}."
    protocol = str(__doc__).split("\n\n")[2].strip()
    points, steps = measured.points(chosen.rounds), measured.steps(chosen.rounds)
    write(chosen.output, f"{protocol}\n\n{about}", points, steps)
    print((chosen.output / "pareto.md").read_text())


if __name__ == "__main__":
    main()
