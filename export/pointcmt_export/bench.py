"""The command `pointcmt-export bench`: every engine on one student, side by side, in one run."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pointcmt.commands import command_errors
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_export.bench_engines import ENGINES

BATCHES = (1, 8, 32, 128)
KNOWN_FILES = ("config.json", "model.onnx", "model.engine")


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
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads  [default: all].")
@click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"]))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for bench.json, .md and .png.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@command_errors
def bench(
    targets: tuple[str, ...],
    engines: tuple[str, ...],
    batches: tuple[int, ...],
    points: int | None,
    seconds: float,
    threads: int | None,
    device: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare the speed and memory of every engine on one student.

    Give the model folder (for torch) and the exported folders (for the other engines) of the same
    student. An engine that cannot run here is listed as `not run` with the reason.
    """
    from pointcmt_export.bench_report import markdown
    from pointcmt_export.bench_run import Plan, benchmark

    folders = tuple(bench_folder(target) for target in targets)
    plan = Plan(
        targets=folders,
        engines=engines or tuple(ENGINES),
        batches=tuple(sorted(set(batches))),
        points=points or common_points(folders),
        seconds=seconds,
        threads=threads or len(os.sched_getaffinity(0)),
        device=device,
    )
    report = benchmark(plan, say=lambda text: click.echo(text, err=True))
    click.echo(json.dumps(report, indent=2) if as_json else markdown(report))
    if out is not None:
        write_report(report, out)
        click.echo(str(out))


def bench_folder(target: Path | str) -> Path:
    """Return the model folder or exported folder that `target`, itself or a file in it, names.

    Raises:
        InputError: it is neither.
    """
    path = Path(target)
    folder = path if path.is_dir() else path.parent
    if not path.exists() or not any((folder / name).is_file() for name in KNOWN_FILES):
        raise InputError(
            f"{target}: is no model folder and no exported folder; "
            f"a folder with one of {', '.join(KNOWN_FILES)} is needed"
        )
    return folder


def common_points(folders: Sequence[Path]) -> int:
    """Return the number of points a cloud that the student in all `folders` wants.

    Raises:
        InputError: the folders hold different students, so comparing them makes no sense.
    """
    facts = {folder: _facts(folder) for folder in folders}
    first, *others = facts.items()
    for folder, fact in others:
        if fact != first[1]:
            raise InputError(f"{folder}: has other classes or points than {first[0]}")
    return first[1][1]


def _facts(folder: Path) -> tuple[tuple[str, ...], int]:
    if (folder / "config.json").is_file():
        from pointcmt.checkpoint import ModelConfig

        file = folder / "config.json"
        config = ModelConfig.from_json(file.read_text(), str(file))
        return config.classes, config.points
    from pointcmt_serve import Classifier

    artefact = Classifier(folder, device="cpu").artefact
    return artefact.classes, artefact.points


def write_report(report: dict[str, Any], out: Path, name: str = "bench") -> None:
    """Write `name`.json, `name`.md and `name`.png into the folder `out`."""
    from pointcmt_export.bench_report import markdown, plot

    with write_beside(out / f"{name}.json") as fresh:
        fresh.write_text(json.dumps(report, indent=2) + "\n")
    with write_beside(out / f"{name}.md") as fresh:
        fresh.write_text(markdown(report) + "\n")
    with write_beside(out / f"{name}.png") as fresh:
        plot(report, fresh)
