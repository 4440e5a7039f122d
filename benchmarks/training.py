"""How fast each stage and each student trains, and in how much memory, beside the plain ports.

    python -m benchmarks.training [--only teacher dgcnn] [--batch 16] [--steps 4] [--rounds 2]
                                  [--threads 1] [--device cpu] [--output benchmarks/results]

Every measurement is a process of its own, so that the largest memory it ever held is its own; in
each round all of them take turns. Stages I to III run as in a recipe, on the embedded shapes at
1,024 points with six projected views; a student also trains alone, by cross-entropy and AdamW, and
so does its plain port of the same weights. `pointcmt-train` lets the allocator keep freed memory:
so do the stages and the students here, while a plain port runs as torch starts it, and once more
with that setting. "Products" is the rate at which the plain port's matrix products, forwards and
backwards, would be done if all were as fast as a large one and nothing else took time. Samples a
second are those of the best round, of the second of two passes; memory is the most that the process
held beyond what it began with.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import processor
from benchmarks.plain_students import PORTS, plain_port
from pointcmt.models import create_student
from pointcmt_training.allocator import tune_allocator
from pointcmt_training.config import Config
from pointcmt_training.distillation.method import Images
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs import load_inputs
from pointcmt_training.reading import read_history
from pointcmt_training.recipe import load_config
from pointcmt_training.stages.generator import build_generator, train_generator
from pointcmt_training.stages.student import train_student
from pointcmt_training.stages.teacher import build_teacher, train_teacher

STAGES = ("teacher", "generator")
POINTS, CLASSES = 1024, 12
MIB = 2**20
Figures = dict[str, float]


def recipe(student: str, args: argparse.Namespace) -> Config:
    """Two epochs of `args.steps` steps or a few more in each stage, on the embedded shapes."""
    per_class = max(2, -(-args.batch * args.steps // CLASSES))
    sections = ("teacher", "generator", "training")
    return load_config(
        "shapes",
        [
            *(f"{section}.epochs=2" for section in sections),
            *(f"{section}.batch_size={args.batch}" for section in sections),
            f"data.per_class={per_class}",
            f"data.points={POINTS}",
            "training.evaluations=0",
            "teacher.width=1.0",
            f"generator.points={POINTS}",
            "log=none",
            f"student={student}",
            "options={}",
            f"device={args.device}",
        ],
    )


def stage(section: str, student: str, args: argparse.Namespace) -> Figures:
    """Train one stage of PointCMT; the parts that it takes from earlier ones are random."""
    tune_allocator()
    config = recipe(student, args)
    inputs = load_inputs(config, torch.device(args.device))
    network = create_student(student, CLASSES)
    before = held(args.device)
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place))
        if section == "teacher":
            train_teacher(config, inputs, folder, network.feature_dim)
        else:
            features = torch.rand(len(inputs.pool), network.feature_dim, device=args.device)
            if section == "generator":
                train_generator(config, inputs, folder, features)
            else:
                classifier = build_teacher(config, inputs, network.feature_dim).classifier
                generator = build_generator(config, network.feature_dim)
                train_student(
                    config, inputs, folder, network, Images(classifier, generator, features)
                )
        seconds = read_history(folder.history(section))[-1]["wall_seconds"]
    samples = args.batch * (len(inputs.train) // args.batch)
    return {"rate": samples / seconds, "mib": (held(args.device) - before) / MIB}


def alone(name: str, plain: bool, tuned: bool, args: argparse.Namespace) -> Figures:
    """Train a student, or its plain port, by cross-entropy alone."""
    if tuned:
        tune_allocator()
    torch.manual_seed(0)
    student: Any = create_student(name, CLASSES)
    network = (plain_port(name, student) if plain else student).to(args.device).train()
    points = torch.rand(args.batch, POINTS, 3, device=args.device)
    labels = torch.arange(args.batch, device=args.device) % CLASSES
    before = held(args.device)
    optimizer = torch.optim.AdamW(network.parameters())
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        for _ in range(args.steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(points), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if args.device != "cpu":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    rate = args.batch * args.steps / seconds
    return {"rate": rate, "mib": (held(args.device) - before) / MIB}


def products(name: str, args: argparse.Namespace) -> Figures:
    """Count the products of a plain port's step and time a large one."""
    network = plain_port(name, create_student(name, CLASSES)).to(args.device).train()
    points = torch.rand(2, POINTS, 3, device=args.device)
    with FlopCounterMode(display=False) as counter:
        network(points).sum().backward()
    operands = torch.rand(2, 2048, 2048, device=args.device)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        (operands[0] @ operands[1])[0, 0].item()
        seconds.append(time.perf_counter() - start)
    rate = 2 * 2048**3 / min(seconds)  # operations a second
    return {"rate": len(points) * rate / counter.get_total_flops(), "mib": 0.0}


def held(device: str) -> int:
    """Return the largest number of bytes that this process ever held on the device."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def plan(only: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Return the measurements of each row: column -> (kind, student)."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for name in (*STAGES, *sorted(PORTS)):
        if only and name not in only:
            continue
        if name in STAGES:
            rows[name] = [("stage", name)]
        else:
            kinds = ("student", "plain", "plain_tuned", "products", "pointcmt")
            rows[name] = [(kind, name) for kind in kinds]
    return rows


KINDS: dict[str, Callable[[str, argparse.Namespace], Figures]] = {
    "stage": lambda name, args: stage(name, "pointnet2-ssg", args),
    "student": lambda name, args: alone(name, False, True, args),
    "plain": lambda name, args: alone(name, True, False, args),
    "plain_tuned": lambda name, args: alone(name, True, True, args),
    "products": products,
    "pointcmt": lambda name, args: stage("training", name, args),
}


def measured(kind: str, name: str, words: list[str], threads: int) -> Figures:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", "--one", kind, name, *words]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def table(found: dict[str, dict[str, Figures]], about: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = ["# Training", "", __doc__.split("\n\n")[2].replace("\n", " "), ""]
    lines += [", ".join(f"{key} {value}" for key, value in about.items()), ""]
    lines += ["| stage | samples/s | MiB |", "|---|---|---|"]
    for name in STAGES:
        if name in found:
            one = found[name]["stage"]
            lines.append(f"| {name} | {one['rate']:.1f} | {one['mib']:.0f} |")
    lines += [
        "",
        "| student | samples/s | plain port | ratio | plain port, tuned | ratio "
        "| products | MiB | plain port | stage III | MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        if name in STAGES:
            continue
        own, plain, whole = row["student"], row["plain"], row["pointcmt"]
        rates = [
            f"{other['rate']:.3g} | {own['rate'] / other['rate']:.1f}x"
            for other in (plain, row["plain_tuned"])
        ]
        lines.append(
            f"| {name} | {own['rate']:.3g} | {' | '.join(rates)} | "
            f"{row['products']['rate']:.3g} | {own['mib']:.0f} | {plain['mib']:.0f} | "
            f"{whole['rate']:.3g} | {whole['mib']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], choices=[*STAGES, *PORTS])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        kind, name = args.one
        print(json.dumps(KINDS[kind](name, args)))
        return
    words = ["--batch", str(args.batch), "--steps", str(args.steps), "--device", args.device]
    about = {
        "machine": processor(),
        "device": args.device,
        "threads": args.threads,
        "batch": args.batch,
        "steps": args.steps,
        "rounds": args.rounds,
        "torch": torch.__version__,
    }
    found: dict[str, dict[str, Figures]] = {}
    for _ in range(args.rounds):
        for row, columns in plan(args.only).items():
            new = {kind: measured(kind, name, words, args.threads) for kind, name in columns}
            old = found.setdefault(row, new)
            found[row] = {
                kind: max(old[kind], new[kind], key=lambda figures: figures["rate"]) for kind in new
            }
            print(row, new[columns[0][0]], flush=True)
            if args.output:
                write(args.output, found, about)
    print(table(found, about))


def write(output: Path, found: dict[str, dict[str, Figures]], about: dict[str, Any]) -> None:
    """Write what is known so far as JSON and as a table."""
    output.mkdir(parents=True, exist_ok=True)
    record = json.dumps({"about": about, "found": found}, indent=1)
    (output / "training.json").write_text(record + "\n")
    (output / "training.md").write_text(table(found, about))


if __name__ == "__main__":
    main()
