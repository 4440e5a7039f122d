"""The command `pointcmt-export bench`: every engine on one student, side by side, in one run."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click

from pointcmt.commands import command_errors
from pointcmt.files import write_beside
from pointcmt_export.bench.engines import ENGINES
from pointcmt_export.options import allow_option

BATCHES = (1, 8, 32, 128)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", metavar="MODEL_OR_ARTEFACT ...", nargs=-1, required=True)
@click.option(
    "--engine", "engines", multiple=True, type=click.Choice([*ENGINES]), help="Only these engines."
)
@click.option(
    "--batch",
    "batches",
    multiple=True,
    type=click.IntRange(min=1),
    default=BATCHES,
    show_default=True,
    help="Batch sizes; repeatable.",
)
@click.option(
    "--points", type=click.IntRange(min=1), help="Points a cloud  [default: the model's]."
)
@click.option(
    "--seconds",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="How long each engine runs at each batch size.",
)
@click.option(
    "--timeout",
    default=1800.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds after which an engine is given up.",
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads  [default: all].")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where the engines run; auto takes a GPU where there is one.",
)
@allow_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder for bench.json, .md and .png.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@command_errors
def bench(
    targets: tuple[str, ...],
    engines: tuple[str, ...],
    batches: tuple[int, ...],
    points: int | None,
    seconds: float,
    timeout: float,
    threads: int | None,
    device: str,
    allow: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare the speed and memory of every engine on one student.

    Give a run folder, model folder or training checkpoint, and exported folders of the same
    student; without any, the student is exported on the way. An engine that cannot run here is
    listed as `not run` with the reason.
    """
    from pointcmt_export.bench.report import markdown
    from pointcmt_export.bench.run import Plan, benchmark
    from pointcmt_export.bench.targets import find_targets

    with tempfile.TemporaryDirectory() as room:
        found = find_targets(targets, Path(room), allow)
        plan = Plan(
            targets=tuple(found),
            engines=engines or tuple(ENGINES),
            batches=tuple(sorted(set(batches))),
            points=points or found[0].points,
            seconds=seconds,
            threads=threads or len(os.sched_getaffinity(0)),
            device=_found(device),
            timeout=timeout,
            allow=allow,
        )
        report = benchmark(plan, say=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        click.echo(markdown(report))
    if out is not None:
        write_report(report, out)
        click.echo(str(out), err=as_json)


def _found(device: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def write_report(report: dict[str, Any], out: Path, name: str = "bench") -> None:
    """Write `name`.json, `name`.md and `name`.png into the folder `out`."""
    from pointcmt_export.bench.report import markdown, plot

    with write_beside(out / f"{name}.json") as fresh:
        fresh.write_text(json.dumps(report, indent=2) + "\n")
    with write_beside(out / f"{name}.md") as fresh:
        fresh.write_text(markdown(report) + "\n")
    with write_beside(out / f"{name}.png") as fresh:
        plot(report, fresh)
