"""How fast batches are loaded, beside how fast the students train on them.

    python -m benchmarks.data [--seconds 3] [--output benchmarks/results]

Batches of 32 clouds of 1,024 points, float32, CPU, on the threads that torch takes by default.
Loading is what training does: indexing in a shuffled order and, where said, augmentation; a
training step is forward, backward and AdamW. Writes data.json and data.md. Goal: with PointCMT's
augmentation, loading feeds at least 5 times what the fastest student trains; pictures, at least 5
times what the teacher trains that sees them.
"""

import argparse
import itertools
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pointcmt.data import CloudDataset, RenderedViews, Shapes
from pointcmt.data.augment import Augmentation
from pointcmt.models import STUDENTS, create_student
from pointcmt.teacher.multiview import MultiViewTeacher

BATCH, POINTS, CLASSES, GOAL = 32, 1024, 40, 5.0
CLOUDS, STORED = 512, 10_000
PICTURES, TEACHER = "20 pictures of 224 x 224, one process", "teacher, ResNet-18, 20 pictures"
PAPER = Augmentation(scale=(2 / 3, 3 / 2), shift=0.2, shuffle=True)
JUDGED = ("in memory, PointCMT's augmentation", PICTURES)
EVERYTHING = Augmentation(
    rotate=180, scale=(2 / 3, 3 / 2), shift=0.2, jitter=0.01, dropout=0.875, shuffle=True
)


def best_rate(run: Callable[[], int], seconds: float) -> float:
    """Samples per second of the fastest of the runs that fit into `seconds` (at least three)."""
    run()
    best, end, runs = 0.0, time.perf_counter() + seconds, 0
    while runs < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        samples = run()
        best = max(best, samples / (time.perf_counter() - start))
        runs += 1
    return best


def loading(dataset: CloudDataset, augmentation: Augmentation | None) -> Callable[[], int]:
    """One epoch after the other, a few batches a run."""
    batches = shuffled(dataset, augmentation)

    def run() -> int:
        return sum(len(next(batches)[1]) for _ in range(8))

    return run


def shuffled(
    dataset: CloudDataset, augmentation: Augmentation | None = None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Clouds and labels in batches without end, as the stages of training draw them."""
    clouds, labels = torch.from_numpy(dataset.points), torch.from_numpy(dataset.labels)
    for epoch in itertools.count():
        order = torch.randperm(len(labels))
        for indices in torch.split(order[: len(order) // BATCH * BATCH], BATCH):
            points = clouds[indices]
            if augmentation is not None:
                points = augmentation(points, indices, epoch, 0)
            yield points, labels[indices]


def memory() -> CloudDataset:
    points = np.random.default_rng(0).normal(size=(CLOUDS, POINTS, 3)).astype(np.float32)
    return named(points)


def mapped(folder: Path) -> CloudDataset:
    """The first 1,024 points of clouds of 10,000 with normals, left on disk."""
    path = folder / "clouds.npy"
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (CLOUDS, STORED, 6))
    rows[:] = np.random.default_rng(0).random((STORED, 6), dtype=np.float32)
    rows.flush()
    return named(np.load(path, mmap_mode="r")[:, :POINTS, :3])


def named(points: np.ndarray) -> CloudDataset:
    labels = np.arange(len(points)) % CLASSES
    names = [str(i) for i in range(CLASSES)]
    return CloudDataset("benchmark/train", names, points, labels, [str(i) for i in labels])


def pictured(folder: Path) -> CloudDataset:
    """16 objects with 20 pictures of 224 x 224 each, as PNG."""
    shade = np.linspace(0, 255, 224)[:, None] * np.hanning(224)
    (folder / "chair" / "train").mkdir(parents=True)
    for one in range(16):
        for view in range(1, 21):
            picture = Image.fromarray(np.roll(shade, 7 * one + view, axis=1).astype(np.uint8))
            picture.save(folder / "chair" / "train" / f"chair_{one:04d}_{view:03d}.png")
    views = RenderedViews.of_all(folder, "train")
    return named(np.zeros((16, 8, 3), np.float32)).with_views(views)


def loaders(seconds: float) -> dict[str, float]:
    rates = {}
    for name, augmentation in {"no": None, "PointCMT's": PAPER, "every": EVERYTHING}.items():
        run = loading(memory(), augmentation)
        rates[f"in memory, {name} augmentation"] = best_rate(run, seconds)
    with tempfile.TemporaryDirectory() as folder:
        run = loading(mapped(Path(folder)), PAPER)
        rates["memory-mapped from 10,000 points, PointCMT's augmentation"] = best_rate(run, seconds)
        pictures = pictured(Path(folder))
        rates[PICTURES] = best_rate(lambda: read(pictures), seconds)
    return rates


def read(dataset: CloudDataset) -> int:
    for index in range(len(dataset)):
        torch.from_numpy(dataset[index].views)
    return len(dataset)


def training(name: str) -> Callable[[], int]:
    torch.manual_seed(0)
    student = create_student(name, CLASSES)
    batches = shuffled(memory())
    return stepping(student, lambda: next(batches))


def teaching() -> Callable[[], int]:
    torch.manual_seed(0)
    views, labels = torch.zeros(2, 20, 3, 224, 224), torch.arange(2)
    return stepping(MultiViewTeacher("resnet18", CLASSES), lambda: (views, labels))


def stepping(
    network: Any, inputs: Callable[[], tuple[torch.Tensor, torch.Tensor]]
) -> Callable[[], int]:
    optimizer = torch.optim.AdamW(network.parameters())

    def run() -> int:
        seen, labels = inputs()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(seen), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return len(labels)

    return run


def generation() -> float:
    start = time.perf_counter()
    dataset = Shapes("train", per_class=25)
    return len(dataset) / (time.perf_counter() - start)


def table(report: dict[str, Any]) -> str:
    lines = ["| loading | clouds/s | times what is trained |", "|---|---:|---:|"]
    for name, rate in report["loaded_per_second"].items():
        lines.append(f"| {name} | {rate:,.0f} | {rate / eater(report, name):,.1f} |")
    lines += ["", "| training | clouds/s |", "|---|---:|"]
    lines += [f"| {name} | {rate:,.1f} |" for name, rate in report["trained_per_second"].items()]
    return "\n".join(lines)


def eater(report: dict[str, Any], name: str) -> float:
    """What the fastest network trains that takes what is loaded: a student, or the teacher."""
    trained = report["trained_per_second"]
    students = max(rate for network, rate in trained.items() if network != TEACHER)
    return float(trained[TEACHER] if name == PICTURES else students)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each measurement")
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=list(STUDENTS))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    loaded = loaders(arguments.seconds)
    trained = {name: best_rate(training(name), arguments.seconds) for name in arguments.students}
    trained[TEACHER] = best_rate(teaching(), arguments.seconds)
    report: dict[str, Any] = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}",
        "protocol": f"batches of {BATCH} x {POINTS} points, float32, CPU, best of the runs in "
        f"{arguments.seconds:g} s",
        "goal_ratio": GOAL,
        "loaded_per_second": {name: round(rate, 1) for name, rate in loaded.items()},
        "trained_per_second": {name: round(rate, 2) for name, rate in trained.items()},
        "shapes_generated_per_second": round(generation(), 1),
    }
    ratios = {name: loaded[name] / eater(report, name) for name in JUDGED}
    report["ratios"] = {name: round(ratio, 1) for name, ratio in ratios.items()}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "data.json").write_text(json.dumps(report, indent=2) + "\n")
    text = (
        f"# Loading\n\n{report['protocol']}. Machine: {report['machine']}.\n\n{table(report)}\n\n"
        f"`Shapes` generates {report['shapes_generated_per_second']:,.0f} clouds/s.\n"
    )
    (arguments.output / "data.md").write_text(text)
    print(text)
    for name, ratio in ratios.items():
        print(f"{name}: {'reached' if ratio >= GOAL else 'missed'} ({ratio:.1f})")


if __name__ == "__main__":
    main()
