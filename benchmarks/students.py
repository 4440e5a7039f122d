"""How fast each student trains and predicts on the CPU, beside its plain port and compiled.

    python -m benchmarks.students [--students dgcnn pointnet2-ssg] [--batch 32] [--no-compile]

Samples a second, best of several rounds in which the contenders take turns: `forward` in evaluation
mode without gradients, `training` forward and backward in training mode. Measured are the students
that have a plain port; it has the same weights, and how far logits and gradients differ stands
beside. A full run writes benchmarks/results/students.{json,md}; one with options prints only.
"""

import argparse
import copy
import gc
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import processor
from benchmarks.plain_students import PORTS, own_gradients, plain_port
from pointcmt.models import create_student

RESULTS = Path(__file__).parent / "results"
CLASSES = 40
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
DEMANDED = {"pointnet2-ssg": 3.0, "pointnet2-msg": 3.0, "dgcnn": 2.0}


def clouds(batch: int, points: int) -> Tensor:
    """Surfaces of random ellipsoids with a little noise, inside the unit sphere: (B, N, 3)."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(
        torch.randn(batch, points, 3, generator=generator), dim=2
    )
    axes = 0.3 + 0.65 * torch.rand(batch, 1, 3, generator=generator)
    return directions * axes + 0.01 * torch.randn(batch, points, 3, generator=generator)


def forward(student: Any, points: Tensor) -> Tensor:
    student.eval()
    with torch.no_grad():
        logits: Tensor = student(points)
    return logits


def training(student: Any, points: Tensor) -> None:
    student.train()
    student.zero_grad()
    student(points).square().mean().backward()


def best_rates(
    contenders: dict[str, Any],
    work: Callable[[Any, Tensor], Any],
    points: Tensor,
    args: argparse.Namespace,
) -> dict[str, float]:
    """Samples a second of each contender, or NaN where it cannot run."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(args.rounds + 1):  # the first round warms up, and compiles
        for name, student in contenders.items():
            start = CLOCKS[args.clock]()
            try:
                work(student, points)
            except (RuntimeError, NotImplementedError) as error:
                print(f"  {name}: {type(error).__name__}: {str(error).splitlines()[0]}")
                best[name] = float("nan")
            best[name] = min(best[name], CLOCKS[args.clock]() - start)
            gc.collect()
    return {name: len(points) / seconds for name, seconds in best.items()}


def differences(student: Any, port: Any, points: Tensor) -> dict[str, float]:
    """Of the port from the student, in float64: largest logit, relative norm of the gradient.

    In float32 rounding alone moves rows across the kink of an activation.
    """
    student, port, points = (copy.deepcopy(x).double() for x in (student, port, points))
    logits = (forward(student, points) - forward(port, points)).abs().max()
    training(student, points)
    training(port, points)
    own, other = torch.cat(own_gradients(student)), torch.cat(own_gradients(port))
    return {"logits": float(logits), "gradients": float((own - other).norm() / own.norm())}


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(0)
    student = create_student(name, CLASSES, dropout=0.0)
    port = plain_port(name, student)
    points = clouds(args.batch, args.points)
    found: dict[str, Any] = {"difference": differences(student, port, points[: args.check])}
    contenders = {"student": student, "plain": port}
    if args.compile:
        torch._dynamo.reset()
        contenders["compiled"] = torch.compile(copy.deepcopy(student))
    for work in (forward, training):
        rates = best_rates(contenders, work, points, args)
        found[work.__name__] = {**rates, "ratio": rates["student"] / rates["plain"]}
    return found


def machine() -> dict[str, Any]:
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
    }


def markdown(report: dict[str, Any]) -> str:
    facts = report["machine"]
    lines = [
        "# Students on the CPU",
        "",
        f"Samples a second at batch {report['batch']}, {report['points']} points, best of "
        f"{report['rounds']} rounds. {facts['cpu']}, {facts['cores']} cores, {facts['threads']} "
        f"threads, load {facts['load']:.1f} at the start, torch {facts['torch']}. Made by "
        "`python -m benchmarks.students`; the plain ports are in `benchmarks/plain_students`.",
        "",
        "| | forward | plain | ratio | compiled | training | plain | ratio | compiled "
        "| logits differ | gradients differ |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in report["students"].items():
        cells = [name]
        for work in ("forward", "training"):
            rates = found[work]
            cells += [f"{rates['student']:.1f}", f"{rates['plain']:.1f}", f"{rates['ratio']:.1f}x"]
            cells.append(f"{rates['compiled']:.1f}" if "compiled" in rates else "-")
        difference = found["difference"]
        cells += [f"{difference['logits']:.0e}", f"{difference['gradients']:.0e}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", nargs="+", choices=list(PORTS), default=list(PORTS))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    parser.add_argument("--check", type=int, default=4, help="clouds compared with the port")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    args = parser.parse_args()
    report: dict[str, Any] = {
        "batch": args.batch,
        "points": args.points,
        "rounds": args.rounds,
        "machine": machine(),
        "students": {},
    }
    for name in args.students:
        report["students"][name] = measure(name, args)
        print(name, json.dumps(report["students"][name]), flush=True)
    print(markdown(report))
    if vars(args) == vars(parser.parse_args([])):
        (RESULTS / "students.json").write_text(json.dumps(report, indent=1) + "\n")
        (RESULTS / "students.md").write_text(markdown(report))
    for name, least in DEMANDED.items():
        for work in ("forward", "training"):
            if name in report["students"] and report["students"][name][work]["ratio"] < least:
                print(f"{name} {work}: below the {least}x that is demanded")


if __name__ == "__main__":
    main()
