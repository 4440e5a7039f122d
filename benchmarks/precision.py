"""How much faster students are below float32 on this processor, and how near to its limit.

    python -m benchmarks.precision prepare FOLDER [--student pointnet2-ssg ...]
    python -m benchmarks.precision measure FOLDER [--student pointnet2-ssg ...] [--seconds 3]
    python -m benchmarks.precision gate modelnet40:FOLDER

`prepare` exports each student, with fresh weights and batch statistics of clouds, host-sampled and
with `--precision int8` and `bf16`. `measure` times the float32 file, the int8 one and, where the
processor has such products, the bfloat16 one beside each other in every engine that runs them, and
the bare sequence of the matrix products in the same arithmetic. Speed depends on the
shapes alone. What less precision does to a trained student's answers, `gate` tells: it exports the
student of ModelNet40 that comes with the package and keeps its checks.
Results go to benchmarks/results/precision.{json,md}; what was measured before is kept.
"""

import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.deploy import POINTS, make_student
from benchmarks.gemm import Products, fastest, product_shapes
from benchmarks.libraries import BF16, by_onnxruntime_int8
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_export.bench.report import markdown
from pointcmt_export.bench.run import Plan, benchmark
from pointcmt_export.bench.runner import CannotRunError, Engine, Runner, Setup
from pointcmt_export.bench.targets import GRAPH, Target, find_targets
from pointcmt_export.exporter import GateError, export
from pointcmt_export.options import Grid, Limits, Options
from pointcmt_export.reduced.int8 import products
from pointcmt_serve.artefact import BESIDE, file_name
from pointcmt_serve.engines import open_session
from pointcmt_serve.engines.openvino import no_bfloat16

RESULTS = Path(__file__).parent / "results"
FULL = ("openvino", "onnxruntime")
LIMIT = "products"
Known = dict[str, Any]
USUAL = {("int8", 32): 2.2, ("bf16", 32): 1.7, ("int8", 1): 1.5, ("bf16", 1): 1.5}
# Wanted: clouds a second as a multiple of the faster float32 engine's, by precision and batch.
GOALS = {
    "pointnet2-ssg": USUAL,
    "pointnet2-msg": USUAL,
    "dgcnn": {**USUAL, ("int8", 32): 1.3, ("bf16", 32): 1.3},
    "rscnn": USUAL,
    "pointmlp": USUAL,
}
SHARE_OF_LIMIT = 0.6
ANY = Limits(argmax_agreement=0.0, accuracy_points=100.0, logits_mean=1e9, logits_median=1e9)


class Int8Products:
    """Calls the products of an exported graph, the heavy ones in int8, and nothing else."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._file, self._threads = folder / GRAPH, threads
        self._calls: dict[tuple[int, ...], list[Any]] = {}

    def __call__(self, clouds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the products for clouds (B, N, 3) and return an empty array of logits."""
        if clouds.shape not in self._calls:
            self._calls[clouds.shape] = self._prepared(clouds)
        for call in self._calls[clouds.shape]:
            call()
        return np.zeros((len(clouds), 0), dtype=np.float32)

    def _prepared(self, clouds: NDArray[np.float32]) -> list[Any]:
        model = onnx.load(self._file)
        nodes = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm")]
        heavy = set(products(model))
        both = list(zip(nodes, product_shapes(self._file, clouds), strict=True))
        low = [pair for node, pair in both if node.name in heavy]
        rest = [pair for node, pair in both if node.name not in heavy]
        calls = fastest(low, self._threads, (by_onnxruntime_int8,))
        return [*calls, *(fastest(rest, self._threads) if rest else [])]


def open_reduced(engine: str, precision: str, setup: Setup) -> Runner:
    """Open the file of an exported folder that is in this precision."""
    try:
        return Runner(open_session(setup.target, engine, setup.device, setup.threads, precision))
    except InputError as error:
        raise CannotRunError(str(error)) from error


def open_int8_limit(setup: Setup) -> Runner:
    """Open the int8 file's bare products."""
    return Runner(Int8Products(setup.target, setup.threads))


def open_bf16_limit(setup: Setup) -> Runner:
    """Open the float32 file's bare products, in bfloat16."""
    if reason := no_bfloat16():
        raise CannotRunError(reason)
    return Runner(Products(setup.target / GRAPH, setup.threads, BF16))


INT8_FILE, BF16_FILE = file_name(GRAPH, "int8"), file_name(GRAPH, "bf16")
int8_onnxruntime = Engine(partial(open_reduced, "onnxruntime", "int8"), INT8_FILE)
int8_openvino = Engine(partial(open_reduced, "openvino", "int8"), INT8_FILE)
bf16_openvino = Engine(partial(open_reduced, "openvino", "bf16"), BF16_FILE)
int8_limit = Engine(open_int8_limit, INT8_FILE)
bf16_limit = Engine(open_bf16_limit, BF16_FILE)
OWN = {
    "benchmarks.precision:int8_onnxruntime": "onnxruntime, int8",
    "benchmarks.precision:int8_openvino": "openvino, int8",
    "benchmarks.precision:bf16_openvino": "openvino, bf16",
    "benchmarks.precision:int8_limit": f"int8 {LIMIT}",
    "benchmarks.precision:bf16_limit": f"bf16 {LIMIT}",
}


def prepared(name: str, folder: Path) -> Target:
    """Export a student unless it was; return the folder that holds it in every precision."""
    out = folder / name
    if not (out / BF16_FILE).is_file():
        model = make_student(name, folder / "models")
        common: dict[str, Any] = {"sampling": "host", "data": "shapes:2", "limits": ANY}
        common["grid"] = Grid((1,), (POINTS,))
        export(model, out, Options(precision="int8", **common))
        with tempfile.TemporaryDirectory() as room:
            made = Path(room) / "out"
            export(model, made, Options(precision="bf16", format="openvino", **common))
            for file in made.glob(f"{BF16_FILE}*"):  # and the side-car beside it
                shutil.copy(file, out)
    (target,) = find_targets([out], folder)
    return target


def measure(name: str, folder: Path, batches: tuple[int, ...], **options: Any) -> dict[str, Any]:
    """Measure one student that was prepared."""
    plan = Plan(
        targets=(prepared(name, folder),),
        engines=(*OWN, *FULL),
        bases=FULL,
        batches=tuple(sorted(batches)),
        points=POINTS,
        device="cpu",
        **options,
    )
    report = benchmark(plan, say=lambda text: click.echo(text, err=True))
    for record in report["results"]:
        record["engine"] = OWN.get(record["engine"], record["engine"])
        record.pop("agreement", None)  # of weights untrained
    return report


def judge(name: str, report: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare the fastest engine of each precision with float32's, and with the limit."""
    rows = []
    for (precision, batch), goal in GOALS[name].items():
        rates = {
            r["engine"]: r["samples_per_s"]
            for r in report["results"]
            if r["status"] == "measured" and r["batch"] == batch
        }
        full = max((e for e in FULL if e in rates), key=rates.__getitem__, default=None)
        of_it = (engine for engine in rates if engine.endswith(f", {precision}"))
        low = max(of_it, key=rates.__getitem__, default=None)
        limit = rates.get(f"{precision} {LIMIT}")
        if full and low:
            rows.append(
                {
                    "student": name,
                    "batch": batch,
                    "float32": full,
                    "float32_samples_per_s": rates[full],
                    "reduced": low,
                    "reduced_samples_per_s": rates[low],
                    "speedup": rates[low] / rates[full],
                    "goal": goal,
                    "limit_samples_per_s": limit,
                    "share_of_limit": rates[low] / limit if limit else None,
                }
            )
    return rows


def summary(known: Known) -> str:
    """Return the goals, the trained student's checks and every table as Markdown."""
    reports = known["students"]
    head = (
        "| student | batch | float32 engine | samples/s | reduced | samples/s | speed-up "
        f"| goal | its products alone, samples/s | of that (>= {SHARE_OF_LIMIT:.0%} wanted) |\n"
        + "|---" * 10
        + "|"
    )
    lines = [head, *(_line(r) for name, report in reports.items() for r in judge(name, report))]
    tables = [f"## {name}\n\n{markdown(report)}" for name, report in reports.items()]
    checks = "\n".join(f"| {c['name']} | {c['status']} | {c['detail']} |" for c in known["gate"])
    trained = f"## The trained student\n\n| check | | figures |\n|---|---|---|\n{checks}"
    parts = ["# Students below float32 on a CPU", "\n".join(lines), trained, *tables]
    return "\n\n".join(parts)


def _line(row: dict[str, Any]) -> str:
    share, limit = row["share_of_limit"], row["limit_samples_per_s"]
    cells = (
        *(row["student"], str(row["batch"]), row["float32"], f"{row['float32_samples_per_s']:.1f}"),
        *(row["reduced"], f"{row['reduced_samples_per_s']:.1f}", f"{row['speedup']:.2f}x"),
        *(f"{row['goal']:g}x", "" if limit is None else f"{limit:.1f}"),
        "" if share is None else f"{share:.0%}",
    )
    return f"| {' | '.join(cells)} |"


def before(out: Path) -> Known:
    """Return what was measured before."""
    file = out / "precision.json"
    return json.loads(file.read_text()) if file.is_file() else {"students": {}, "gate": []}


def write(known: Known, out: Path) -> None:
    """Write precision.json and precision.md."""
    students = {name: known["students"][name] for name in GOALS if name in known["students"]}
    goals = [row for name, report in students.items() for row in judge(name, report)]
    known = {"goals": goals, "gate": known["gate"], "students": students}
    with write_beside(out / "precision.json") as fresh:
        fresh.write_text(json.dumps(known, indent=2) + "\n")
    with write_beside(out / "precision.md") as fresh:
        fresh.write_text(summary(known) + "\n")


student_option = click.option("--student", "students", multiple=True, type=click.Choice([*GOALS]))
out_option = click.option(
    "--out", default=RESULTS, type=click.Path(path_type=Path), show_default=True
)
folder_argument = click.argument("folder", type=click.Path(path_type=Path))


@click.group()
def main() -> None:
    """Prepare students and measure them."""


@main.command()
@folder_argument
@student_option
def prepare(folder: Path, students: tuple[str, ...]) -> None:
    """Export students in float32 and int8 into FOLDER."""
    for name in students or GOALS:
        click.echo(prepared(name, folder).folder)


@main.command("measure")
@folder_argument
@student_option
@click.option("--batch", "batches", multiple=True, type=int, default=(1, 32), show_default=True)
@click.option("--seconds", default=3.0, show_default=True)
@click.option("--threads", type=int, help="[default: all]")
@out_option
def measure_all(
    folder: Path,
    students: tuple[str, ...],
    batches: tuple[int, ...],
    seconds: float,
    threads: int | None,
    out: Path,
) -> None:
    """Measure what `prepare` exported and write the results."""
    known = before(out)
    options = {"threads": threads or len(os.sched_getaffinity(0)), "seconds": seconds}
    for name in students or GOALS:
        known["students"][name] = measure(name, folder, batches, **options)
        write(known, out)
    click.echo((out / "precision.md").read_text())


@main.command()
@click.argument("data")
@out_option
def gate(data: str, out: Path) -> None:
    """Export the shipped student of ModelNet40 in int8 and bfloat16, and keep the checks."""
    checks: list[dict[str, Any]] = []
    for precision in BESIDE:
        options = Options(precision=precision, sampling="host", format="openvino", data=data)
        with tempfile.TemporaryDirectory() as room:
            try:
                report = export("modelnet40", Path(room) / "out", options)
            except GateError as refused:  # its checks tell as much
                report = refused.report
        checks += [c.to_json() for c in report.checks if c.name.startswith(precision)]
    write({**before(out), "gate": checks}, out)


if __name__ == "__main__":
    main()
