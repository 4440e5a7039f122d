"""The command `pointcmt-export`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from pointcmt.commands import command_errors, version_option
from pointcmt_export.bench import bench
from pointcmt_export.formats import ALL, FORMATS
from pointcmt_export.options import (
    BATCH,
    FiniteRange,
    Grid,
    Limits,
    Options,
    Precision,
    Profile,
    Sampling,
    allow_option,
)
from pointcmt_export.triton_command import triton

if TYPE_CHECKING:
    from pointcmt_export.report import Report

HELP = {"help_option_names": ["-h", "--help"]}
WHOLE = (*HELP["help_option_names"], "--version")  # options of the command itself


class DefaultGroup(click.Group):
    """A group whose first argument may be a model instead of a subcommand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `export` in front of what is no subcommand."""
        if args and args[0] not in self.commands and args[0] not in WHOLE:
            args = ["export", *args]
        return super().parse_args(ctx, args)


@click.group(cls=DefaultGroup, context_settings=HELP)
@version_option
def main() -> None:
    """Export a student for deployment, compare engines, or write a repository for Triton.

    pointcmt-export MODEL --format onnx -o DIR is short for pointcmt-export export MODEL ...
    """


main.add_command(bench)
main.add_command(triton)


def _numbers(count: int | None) -> Any:
    """Make a callback that reads "1,7,32" as a tuple of positive whole numbers."""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        parts = value.split(",")
        if not all(part.strip().isdecimal() for part in parts) or count not in (None, len(parts)):
            wanted = f"{count} whole numbers" if count else "whole numbers"
            raise click.BadParameter(f"{value!r} is not {wanted} separated by commas")
        return tuple(int(part) for part in parts)

    return read


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder to write."
)
@click.option(
    "--format", "form", default="onnx", show_default=True, type=click.Choice([*FORMATS, ALL])
)
@click.option(
    "--sampling",
    default="graph",
    show_default=True,
    type=click.Choice(get_args(Sampling)),
    help="Who samples and groups: the graph; the host with the native library (faster on CPUs); "
    "or, for trt and trt-rtx, the GPU with kernels of its own.",
)
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    type=click.Choice(get_args(Precision)),
    help="Of weights and arithmetic; points are sampled and grouped in float32 always.",
)
@click.option(
    "--calibration",
    help="Data set whose training clouds show the ranges of int8  [that of --data].",
)
@click.option(
    "--data",
    help="Data set for accuracy and speed: NAME:FOLDER, shapes or shapes:PER_CLASS.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Use at most so many of its clouds.")
@click.option(
    "--batches", default="1,7,32", show_default=True, callback=_numbers(None), help="To compare."
)
@click.option(
    "--points",
    default="512,1024,2048",
    show_default=True,
    callback=_numbers(None),
    help="Point counts to compare.",
)
@click.option(
    "--max-logit-difference", "logits_max", type=FiniteRange(0), help="Largest  [1e-4 in fp32]."
)
@click.option(
    "--max-mean-difference", "logits_mean", type=FiniteRange(0), help="Mean  [5e-5 in fp32]."
)
@click.option(
    "--max-median-difference", "logits_median", type=FiniteRange(0), help="Median  [5e-5 in fp32]."
)
@click.option(
    "--min-agreement", "argmax_agreement", type=FiniteRange(0, 1), help="Same class  [1 in fp32]."
)
@click.option(
    "--max-accuracy-difference",
    "accuracy_points",
    type=FiniteRange(0),
    help="Of OA and mAcc, in percentage points  [0.1; a loss of 0.3 in fp16 and below].",
)
@click.option(
    "--min-speedup",
    "speedup",
    type=FiniteRange(0, min_open=True),
    help="Samples a second, as a multiple of the checkpoint's in PyTorch  [none; wants --data].",
)
@click.option("--profile-batch", callback=_numbers(3), help="TensorRT: min,opt,max  [1,8,64].")
@click.option(
    "--profile-points", callback=_numbers(3), help="TensorRT: min,opt,max  [the student's]."
)
@click.option("--timing-cache", type=click.Path(path_type=Path), help="TensorRT: file to keep.")
@allow_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@command_errors
def export(
    model: Path,
    out: Path,
    form: str,
    sampling: Sampling,
    precision: Precision,
    calibration: str | None,
    data: str | None,
    limit: int | None,
    batches: tuple[int, ...],
    points: tuple[int, ...],
    profile_batch: tuple[int, int, int] | None,
    profile_points: tuple[int, int, int] | None,
    timing_cache: Path | None,
    allow: tuple[str, ...],
    as_json: bool,
    **limits: float | None,
) -> None:
    """Export the student of MODEL and prove it equal to the checkpoint.

    MODEL is a run folder, a model folder, a training checkpoint or the name of a shipped student.
    Teacher, generator and optimiser are left behind and listed. Where a check fails, nothing is
    written and the exit status is 1.
    """
    from pointcmt_export.door import require_possible

    options = Options(
        format=form,
        sampling=sampling,
        precision=precision,
        calibration=calibration,
        data=data,
        limit=limit,
        grid=Grid(batches, points),
        limits=Limits(**limits),
        profile=Profile(profile_batch or BATCH, profile_points),
        timing_cache=timing_cache,
        allow=allow,
    )
    require_possible(model, out, options)
    from pointcmt_export.exporter import GateError
    from pointcmt_export.exporter import export as run

    try:
        report = run(model, out, options)
    except GateError as error:
        click.echo(_shown(error.report, as_json))
        raise
    for text in report.warnings:
        click.echo(f"Warning: {text}", err=True)
    click.echo(_shown(report, as_json))
    if not as_json:
        click.echo(str(out))


def _shown(report: "Report", as_json: bool) -> str:
    return json.dumps(report.to_json(), indent=2) if as_json else report.table()
