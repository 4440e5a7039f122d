"""Accuracy against speed on ModelNet40: narrower students, distilled ones, and a cascade of two.

    python -m benchmarks.pareto --data FOLDER [--runs runs/pareto] [--workers 2]
                                [--rounds 5] [--output benchmarks/results]

FOLDER holds ModelNet40's HDF5 files. Trains the recipe `modelnet40_small` in each size of `SIZES`,
the narrower ones also by `method=self` from the widest (softened logits, no images). Every point is
a model folder, RUNS/NAME/student, and what is measured is its exported file through `Classifier` on
the CPU: accuracy on the whole test split after the last epoch, and clouds a second, prepared
and answered 32 at a time and one by one, sizes taking turns in every round; medians. In the cascade
the narrowest student answers where its first class leads the second by a margin of probability, and
the widest answers the rest; all margins of `MARGINS` are shown, none is chosen. Runs that are
finished are not repeated. Writes pareto.{json,md,png}.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import processor
from benchmarks.study_parts.tables import gain
from pointcmt.data import ModelNet40
from pointcmt.files import write_beside
from pointcmt_export.exporter import export
from pointcmt_export.options import Grid, Options
from pointcmt_serve import Classifier

Clouds = NDArray[np.float32]
TIMED = 256  # clouds of the test split that speed is measured on
BATCH = 32
MARGINS = (0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class Size:
    """A student's size, and how many seeds it is trained with."""

    options: str
    seeds: int


SIZES = {
    "wide": Size("{width: 0.5, centres: [256, 64], neighbours: [[24], [24]]}", 1),
    "half": Size("{width: 0.5, centres: [64, 16], neighbours: [[16], [16]]}", 1),
    "quarter": Size("{width: 0.25, centres: [64, 16], neighbours: [[16], [16]]}", 3),
}
WIDEST, NARROWEST = "wide", "quarter"


@dataclass(frozen=True)
class Point:
    """One student: what it cost and what it gives.

    Attributes:
        size: its name in `SIZES`.
        distilled: whether the widest student taught it.
        seed: of its training.
        parameters: how many there are.
        accuracy: on the test split, through the exported file, in [0, 1].
        rates: clouds a second in batches of 32, and one by one.
    """

    size: str
    distilled: bool
    seed: int
    parameters: int
    accuracy: float
    rates: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Step:
    """The cascade at one margin: the share that the widest answers, accuracy, clouds a second."""

    margin: float
    passed_on: float
    accuracy: float
    rate: float


def plan() -> list[tuple[str, bool, int]]:
    """Return size, whether distilled, and seed of every run; the teacher of the others first."""
    return [
        (size, distilled, seed)
        for size, chosen in SIZES.items()
        for seed in range(chosen.seeds)
        for distilled in (False, True)
        if not (distilled and size == WIDEST)
    ]


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
        self.quick, self.slow = (NARROWEST, True, 0), (WIDEST, False, 0)

    def accuracy(self, answers: NDArray[np.int64]) -> float:
        return float((answers == self.labels).mean())

    def points(self, rounds: int) -> list[Point]:
        """Return every student with its accuracy and speed."""
        taken: dict[tuple[str, bool, int], list[tuple[float, float]]] = {}
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
        """Return the cascade at every margin."""
        pair = self.students[self.quick], self.students[self.slow]
        quick, slow = self.found[self.quick], self.found[self.slow]
        rows = []
        for least in MARGINS:
            unsure = margin(quick) < least
            answers = np.where(unsure, slow.argmax(axis=1), quick.argmax(axis=1))
            spent = [seconds(cascade, *pair, self.timed, least) for _ in range(rounds)]
            rate = TIMED / float(np.median(spent))
            rows.append(Step(least, float(unsure.mean()), self.accuracy(answers), rate))
        return rows


def page(points: Sequence[Point], steps: Sequence[Step], about: Mapping[str, object]) -> str:
    lines = [
        "# Accuracy against speed",
        "",
        str(__doc__).split("\n\n")[2].strip(),
        "",
        f"{about['machine']}, {about['threads']} threads, load before {about['load']}.",
        "",
        "| student | taught by | parameters | OA % by seed | clouds/s, 32 at a time | one by one |",
        "|---|---|---:|---|---:|---:|",
    ]
    for size, distilled in dict.fromkeys((p.size, p.distilled) for p in points):
        rows = [p for p in points if (p.size, p.distilled) == (size, distilled)]
        accuracies = ", ".join(f"{100 * p.accuracy:.2f}" for p in rows)
        together, alone = np.median([p.rates for p in rows], axis=0)
        lines.append(
            f"| {size} | {WIDEST if distilled else 'labels alone'} | {rows[0].parameters:,} "
            f"| {accuracies} | {together:.0f} | {alone:.0f} |"
        )
    lines += ["", *gains(points), ""]
    lines += [
        f"Cascade: `{NARROWEST}`, distilled, seed 0, then `{WIDEST}`.",
        "",
        "| margin | answered by the second | OA % | clouds/s, 32 at a time |",
        "|---:|---:|---:|---:|",
        *(
            f"| {s.margin:g} | {s.passed_on:.0%} | {100 * s.accuracy:.2f} | {s.rate:.0f} |"
            for s in steps
        ),
    ]
    return "\n".join(lines) + "\n"


def gains(points: Sequence[Point]) -> list[str]:
    """Return one sentence a size: distilled minus labels alone, paired by seed."""
    known = {(p.size, p.distilled, p.seed): 100 * p.accuracy for p in points}
    sentences = []
    for size in SIZES:
        apart = [
            known[size, True, seed] - known[size, False, seed]
            for seed in range(SIZES[size].seeds)
            if {(size, True, seed), (size, False, seed)} <= known.keys()
        ]
        if apart:
            sentences.append(f"`{size}`, distilled minus labels alone: {gain(apart)} points.")
    return sentences


def draw(points: Sequence[Point], steps: Sequence[Step], path: Path) -> None:
    """Draw accuracy over clouds a second, the cascade as a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for distilled, colour, label in (
        (False, "tab:gray", "labels alone"),
        (True, "tab:blue", f"taught by `{WIDEST}`"),
    ):
        rows = [p for p in points if p.distilled == distilled]
        speeds, accuracies = [p.rates[0] for p in rows], [100 * p.accuracy for p in rows]
        axes.scatter(speeds, accuracies, color=colour, label=label, zorder=3)
        for row in (row for row in rows if row.seed == 0):
            place = (row.rates[0], 100 * row.accuracy)
            side = "bottom" if distilled or row.size == WIDEST else "top"
            axes.annotate(f"  {row.size}", place, color=colour, va=side)
    line = [s.rate for s in steps], [100 * s.accuracy for s in steps]
    axes.plot(*line, ".-", color="tab:orange", label=f"{NARROWEST}, then {WIDEST} where unsure")
    for step in steps:
        place = (step.rate, 100 * step.accuracy)
        axes.annotate(f" {step.passed_on:.0%}", place, color="tab:orange", fontsize=8, va="bottom")
    axes.set(xlabel="clouds a second, 32 at a time", ylabel="overall accuracy, %", xscale="log")
    ticks = [250, 500, 1000, 2000, 4000]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.margins(x=0.15)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.savefig(path, format="png", dpi=110)


def write(
    out: Path, points: Sequence[Point], steps: Sequence[Step], about: Mapping[str, object]
) -> None:
    record = {
        "about": about,
        "points": [asdict(point) for point in points],
        "cascade": [asdict(step) for step in steps],
    }
    with write_beside(out / "pareto.json") as fresh:
        fresh.write_text(json.dumps(record, indent=1) + "\n")
    with write_beside(out / "pareto.md") as fresh:
        fresh.write_text(page(points, steps, about))
    with write_beside(out / "pareto.png") as fresh:
        draw(points, steps, fresh)


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
    about = {"machine": processor(), "threads": os.cpu_count(), "load": load}
    write(chosen.output, measured.points(chosen.rounds), measured.steps(chosen.rounds), about)
    print((chosen.output / "pareto.md").read_text())


if __name__ == "__main__":
    main()
