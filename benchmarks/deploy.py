"""How much faster an exported student is than its checkpoint in plain PyTorch.

    python -m benchmarks.deploy [--student pointnet2-ssg ...] [--batch 1 --batch 32] [--seconds 5]

Each student gets fresh weights with batch statistics of clouds, is exported with its indices
sampled by the graph and by the host, and measured by `pointcmt-export bench` on every engine,
beside its plain port (`benchmarks.plain_students`: the way public repositories write it, in torch
alone) and beside the bare sequence of its matrix products. Results go to
benchmarks/results/deploy.{json,md,png} student by student; students measured before are kept.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.gemm import Products
from benchmarks.plain_students import plain_port
from pointcmt.checkpoint import ModelConfig, load_student, save_student
from pointcmt.data import SHAPES_CLASSES, Shapes
from pointcmt.files import write_beside
from pointcmt.models import create_student
from pointcmt_export.bench.checkpoints import torch_runner
from pointcmt_export.bench.engines import ENGINES
from pointcmt_export.bench.report import markdown
from pointcmt_export.bench.run import Plan, benchmark
from pointcmt_export.bench.runner import CannotRunError, Engine, Runner, Setup
from pointcmt_export.bench.targets import GRAPH, WEIGHTS, find_targets

RESULTS = Path(__file__).parent / "results"
POINTS = 1024
PORT, LIMIT = "plain-port", "gemm-limit"
# Wanted: how many times the plain port's samples a second at batch 32, and at batch 1.
GOALS: dict[str, dict[int, float]] = {
    "pointnet2-ssg": {32: 6.0, 1: 4.0},
    "pointnet2-msg": {32: 5.0, 1: 4.0},
    "dgcnn": {32: 6.0},
    "rscnn": {32: 2.0},
    "pointmlp": {32: 2.0},
}
SHARE_OF_LIMIT = 0.7  # wanted of the bare products' speed, at batch 32
SLOWEST = "torch-plain"  # the student with the reference's ops, no better than the plain port
DEPLOYED = ("onnxruntime", "openvino", "tensorrt", "tensorrt-rtx")


def open_port(setup: Setup) -> Runner:
    """Open the plain port of the student in a model folder."""
    torch.set_num_threads(setup.threads)
    student, config = load_student(setup.target)
    return torch_runner(plain_port(config.student, student).to(setup.device), setup.device)


def open_limit(setup: Setup) -> Runner:
    """Open an exported graph's matrix products alone, on buffers of their shapes."""
    if setup.device != "cpu":
        raise CannotRunError("the limit is measured on the CPU only")
    return Runner(Products(setup.target / GRAPH, setup.threads))


plain_port_engine = Engine(open_port, WEIGHTS)
gemm_limit_engine = Engine(open_limit, GRAPH, once=True)
OWN = {"benchmarks.deploy:plain_port_engine": PORT, "benchmarks.deploy:gemm_limit_engine": LIMIT}


def make_student(name: str, folder: Path) -> Path:
    """Save a student whose activations have the size that training gives them."""
    torch.manual_seed(0)
    student = create_student(name, len(SHAPES_CLASSES))
    clouds = torch.from_numpy(Shapes(split="test", per_class=2, points=POINTS).points[..., :3])
    student.train()
    with torch.no_grad():
        for _ in range(20):  # running statistics approach those of the batch by a tenth a step
            student(clouds)
    config = ModelConfig(name, {}, SHAPES_CLASSES, POINTS)
    return save_student(folder / name, student.eval(), config)


def measure(name: str, batches: tuple[int, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Export and measure one student."""
    with tempfile.TemporaryDirectory() as room:
        targets = find_targets([make_student(name, Path(room))], Path(room) / "targets")
        plan = Plan(
            targets=tuple(targets),
            engines=(*OWN, *(e for e in ENGINES if e != SLOWEST)),
            bases=("torch-eager", *OWN),
            batches=tuple(sorted(batches)),
            points=POINTS,
            **options,
        )
        report = benchmark(plan, say=lambda text: click.echo(text, err=True))
    for record in report["results"]:
        record["engine"] = OWN.get(record["engine"], record["engine"])
        over = record.get("speed_over", {})
        over.update({OWN[name]: over.pop(name) for name in OWN if name in over})
    return report


def judge(name: str, report: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare the fastest deployed engine with the goals of a student."""
    measured = [r for r in report["results"] if r["status"] == "measured"]
    rows = []
    for batch, goal in GOALS[name].items():
        here = [r for r in measured if r["batch"] == batch]
        deployed = [r for r in here if r["engine"] in DEPLOYED]
        ports = [r for r in here if r["engine"] == PORT]
        if deployed and ports:
            best = max(deployed, key=lambda r: r["samples_per_s"])
            rows.append(_row(name, batch, goal, best, ports[0]))
    return rows


def _row(
    name: str, batch: int, goal: float, best: dict[str, Any], port: dict[str, Any]
) -> dict[str, Any]:
    speedup = best["samples_per_s"] / port["samples_per_s"]
    share = best["speed_over"].get(LIMIT)
    return {
        "student": name,
        "batch": batch,
        "engine": f"{best['engine']} ({best['target']})",
        "samples_per_s": best["samples_per_s"],
        "plain_samples_per_s": port["samples_per_s"],
        "speedup": speedup,
        "goal": goal,
        "reached": speedup >= goal,
        "share_of_limit": share,
        "share_reached": None if share is None or batch == 1 else share >= SHARE_OF_LIMIT,
    }


def summary(reports: dict[str, dict[str, Any]]) -> str:
    """Return the goals and every table as Markdown."""
    head = (
        "| student | batch | fastest deployed | samples/s | plain torch | speed-up | goal "
        f"| reached | of GEMM limit | >= {SHARE_OF_LIMIT:.0%} |\n" + "|---" * 10 + "|"
    )
    lines = [head]
    for name, report in reports.items():
        lines += [_line(row) for row in judge(name, report)]
    tables = [f"## {name}\n\n{markdown(report)}" for name, report in reports.items()]
    return "\n\n".join(["# Deployed students beside plain PyTorch", "\n".join(lines), *tables])


def _line(row: dict[str, Any]) -> str:
    yes = {True: "yes", False: "no", None: ""}
    share = "" if row["share_of_limit"] is None else f"{row['share_of_limit']:.0%}"
    cells = (
        *(row["student"], str(row["batch"]), row["engine"], f"{row['samples_per_s']:.1f}"),
        *(f"{row['plain_samples_per_s']:.1f}", f"{row['speedup']:.2f}x", f"{row['goal']:g}x"),
        *(yes[row["reached"]], share, yes[row["share_reached"]]),
    )
    return f"| {' | '.join(cells)} |"


def draw(reports: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the throughput of every engine at the largest batch that has a goal."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.2 * len(reports) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(reports), 1, squeeze=False)[:, 0]
    for axes, (name, report) in zip(panels, reports.items(), strict=True):
        measured = [r for r in report["results"] if r["status"] == "measured"]
        batch = max((b for b in GOALS[name] if any(r["batch"] == b for r in measured)), default=1)
        rows = sorted(
            (r for r in measured if r["batch"] == batch), key=lambda r: r["samples_per_s"]
        )
        labels = [_label(r) for r in rows]
        colours = ["tab:gray" if r["engine"] == LIMIT else "tab:blue" for r in rows]
        bars = axes.barh(labels, [r["samples_per_s"] for r in rows], color=colours)
        axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
        axes.set_title(f"{name}, batch {batch}", loc="left", fontsize=10)
        axes.tick_params(labelsize=8)
        axes.margins(x=0.1)
    panels[-1].set_xlabel("samples/s")
    figure.savefig(path, format="png", dpi=110)


def _label(record: dict[str, Any]) -> str:
    sampled = record["target"].endswith("-sampled") and record["engine"] != LIMIT
    return f"{record['engine']} ({record['target']})" if sampled else record["engine"]


def write(reports: dict[str, dict[str, Any]], out: Path) -> None:
    """Write deploy.json, deploy.md and deploy.png."""
    goals = [row for name, report in reports.items() for row in judge(name, report)]
    content = {"goals": goals, "students": reports}
    with write_beside(out / "deploy.json") as fresh:
        fresh.write_text(json.dumps(content, indent=2) + "\n")
    with write_beside(out / "deploy.md") as fresh:
        fresh.write_text(summary(reports) + "\n")
    with write_beside(out / "deploy.png") as fresh:
        draw(reports, fresh)


@click.command()
@click.option("--student", "students", multiple=True, type=click.Choice([*GOALS]))
@click.option("--batch", "batches", multiple=True, type=int, default=(1, 32), show_default=True)
@click.option("--seconds", default=5.0, show_default=True)
@click.option("--threads", type=int, help="[default: all]")
@click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"]))
@click.option("--timeout", default=1800.0, show_default=True, help="Seconds for one engine.")
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path), show_default=True)
def main(
    students: tuple[str, ...], batches: tuple[int, ...], threads: int | None, out: Path, **more: Any
) -> None:
    """Measure deployed students against the goals and write the results."""
    before = out / "deploy.json"
    known = json.loads(before.read_text())["students"] if before.is_file() else {}
    options = {"threads": threads or len(os.sched_getaffinity(0)), **more}
    for name in students or GOALS:
        known[name] = measure(name, batches, options)
        write({name: known[name] for name in GOALS if name in known}, out)
    click.echo((out / "deploy.md").read_text())


if __name__ == "__main__":
    main()
