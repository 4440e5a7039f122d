"""What a step waits for rendered pictures, and what a teacher's step holds in memory, on the CPU.

    python -m benchmarks.pictures [--objects 24] [--allocator LIBRARY] [--only PART]
                                  [--output benchmarks/results]

Waiting: a teacher (ResNet-18 of a quarter's width) learns from 20 views of 96 x 96 pixels of the
embedded shapes, each shown four times an epoch, in batches of 8; the pictures are decoded in the
step, by one process ahead of it, which an epoch starts anew, or read from the memory maps that are
kept. Wall milliseconds an object that a step waits, and seconds until the first step has them.
Memory: the most that a process of its own holds in two steps of an EfficientNet-Lite0, of 32
objects with six views of 96 x 96, beyond what it began with and in all, with glibc's allocator as
`pointcmt-train` sets it (otherwise where blocks are computed again) or another one that is
preloaded; CPU seconds are those of the faster step.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import processor
from pointcmt.data import DecodedViews, RenderedViews, Shapes, ViewSource
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt.views.batch import ViewJob, write_views
from pointcmt.views.pictures import ViewSettings
from pointcmt_training.allocator import tune_allocator
from pointcmt_training.compute import recompute
from pointcmt_training.inputs import ahead

VIEWS, SIZE, BATCH, SHOWN = 20, 96, 8, 4
LITE = "efficientnet-lite0"
Figures = dict[str, float]


class Learner:
    """A teacher that makes one step after the other."""

    def __init__(self, backbone: str, width: float, channels: int) -> None:
        torch.manual_seed(0)
        self.teacher = MultiViewTeacher(backbone, 12, channels, width).train()
        self.teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.SGD(self.teacher.parameters(), lr=1e-3)

    def step(self, views: torch.Tensor) -> None:
        """Learn from views (B, V, C, H, W)."""
        labels = torch.arange(len(views)) % 12
        self.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(self.teacher(views), labels).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


def waiting(objects: int) -> dict[str, Figures]:
    """Return what each way to the pictures makes a step wait."""
    ahead.FEW = 0
    with tempfile.TemporaryDirectory() as place:
        shapes = Shapes("train", -(-objects // 12), 64)
        jobs = [ViewJob(f"all/train/{i}", shapes.mesh(i)) for i in range(objects)]
        root = Path(place) / "views"
        write_views(jobs, root, ViewSettings("render", "dodecahedron", SIZE))
        files = RenderedViews(root, [job.stem for job in jobs])
        kept = DecodedViews(files, Path(place) / "cache")
        for index in range(objects):
            kept[index]
        return {
            "decoded in the step": waited(files, 0),
            "decoded ahead, one process": waited(files, 1),
            "kept decoded": waited(kept, 1),
        }


def waited(source: ViewSource, workers: int) -> Figures:
    learner, reader = Learner("resnet18", 0.25, 3), ahead.PictureReader(source, workers)
    order = torch.arange(SHOWN * len(source)).remainder(len(source)).tolist()
    seconds, begun = [], time.perf_counter()
    reader.expect(order, BATCH)
    for first in range(0, len(order), BATCH):
        pictures = [torch.from_numpy(reader(i).copy()) for i in order[first : first + BATCH]]
        seconds.append(time.perf_counter() - begun)
        learner.step(torch.stack(pictures).permute(0, 1, 4, 2, 3).float() / 255)
        begun = time.perf_counter()
    return {"first": seconds[0], "later": 1000 * sum(seconds[1:]) / (len(order) - BATCH)}


def held(again: bool) -> Figures:
    """Return what two steps of a teacher take, in this process."""
    tune_allocator(lean=again)
    learner = Learner(LITE, 1.0, 1)
    if again:
        recompute(learner.teacher.blocks)
    views = torch.rand(32, 6, 1, SIZE, SIZE)
    before, seconds = _most(), float("inf")
    for _ in range(2):
        start = time.process_time()
        learner.step(views)
        seconds = min(seconds, time.process_time() - start)
    return {"mib": (_most() - before) / 1024, "whole": _most() / 1024, "seconds": seconds}


def _most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measured(again: bool, allocator: str) -> Figures:
    """Measure memory in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.pictures", "--one", str(int(again))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LD_PRELOAD": allocator}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def remembering(other: str) -> list[dict[str, Any]]:
    """Measure memory with glibc's allocator and another one, blocks kept and computed again."""
    return [
        {
            "again": again,
            "allocator": Path(allocator).name or "glibc",
            **measured(again, allocator),
        }
        for allocator in dict.fromkeys(["", other])
        for again in (False, True)
    ]


def table(report: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    wait: dict[str, Figures] = report.get("waiting", {})
    lines = ["# Pictures", "", " ".join(str(__doc__).split("\n\n")[2].split()), ""]
    lines += [report["machine"], "", "| pictures | ms an object | of decoding | first step, s |"]
    lines += ["|---|---|---|---|"]
    for name, one in wait.items():
        ratio = one["later"] / wait["decoded in the step"]["later"]
        lines.append(f"| {name} | {one['later']:.2f} | {ratio:.2f} | {one['first']:.2f} |")
    lines += [
        "",
        "| allocator | blocks | MiB | whole process | CPU s a step |",
        "|---|---|---|---|---|",
    ]
    for one in report.get("memory", []):
        blocks = "computed again" if one["again"] else "kept"
        sizes = f"{one['mib']:.0f} | {one['whole']:.0f}"
        lines.append(f"| {one['allocator']} | {blocks} | {sizes} | {one['seconds']:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--objects", type=int, default=24)
    parser.add_argument("--allocator", default="", help="a library to preload, e.g. tcmalloc's")
    parser.add_argument("--only", choices=["waiting", "memory"], help="keep the other's results")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.one:
        print(json.dumps(held(args.one == "1")))
        return
    place = args.output / "pictures.json" if args.output else Path()
    report: dict[str, Any] = json.loads(place.read_text()) if place.is_file() else {}
    machine = f"{processor()}, {os.cpu_count()} cores, one thread, torch {torch.__version__}"
    report["machine"] = machine
    if args.only != "memory":
        report["waiting"] = waiting(args.objects)
    if args.only != "waiting":
        report["memory"] = remembering(args.allocator)
    print(table(report))
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "pictures.json").write_text(json.dumps(report, indent=1) + "\n")
        (args.output / "pictures.md").write_text(table(report))


if __name__ == "__main__":
    main()
