"""`pointcmt-train compare RUN...`."""

from pathlib import Path

import click

from pointcmt.commands import command_errors


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("compare.html"),
    show_default=True,
    help="The page.",
)
@command_errors
def main(runs: tuple[Path, ...], output: Path) -> None:
    """Show finished runs side by side: accuracies, paired differences, curves and classes.

    RUNS are run folders. Those that differ by their seeds alone are one arm; the others stand
    beside the arm of the first.
    """
    from pointcmt_training.tables.compare import compare

    for name, arm in compare(runs, output).items():
        figures = ", ".join(f"{run.result['student']['overall']:.1%}" for run in arm)
        click.echo(f"{name}: OA {figures}")
    click.echo(output)
