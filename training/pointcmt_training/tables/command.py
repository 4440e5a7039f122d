"""`pointcmt-train table N [key=value ...]`."""

import os
import shlex
import sys
from pathlib import Path

import click

from pointcmt.commands import command_errors
from pointcmt.errors import InputError

INTERRUPTED = 130


@click.command("table")
@click.argument("number", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--seeds", type=click.IntRange(1, 1000), help="Runs of each cell; default: as the paper."
)
@click.option(
    "--jobs", type=click.IntRange(1, 1024), default=1, show_default=True, help="Runs at once."
)
@click.option(
    "--data", "roots", multiple=True, metavar="NAME:FOLDER", help="Where a data set lies."
)
@click.option(
    "--recipe", default="", help="What all runs start from, in place of the table's recipes."
)
@click.option("--only", multiple=True, metavar="NAME", help="Only this row, arm or data set.")
@click.option("--list", "list_tables", is_flag=True, help="List the tables and stop.")
@click.option("--dry-run", is_flag=True, help="Print the runs and what is missing, and stop.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("runs/tables"),
    show_default=True,
    help="Folder of all tables and their runs.",
)
@command_errors
def main(
    number: str | None,
    overrides: tuple[str, ...],
    seeds: int | None,
    jobs: int,
    roots: tuple[str, ...],
    recipe: str,
    only: tuple[str, ...],
    list_tables: bool,
    dry_run: bool,
    output: Path,
) -> None:
    """Train and write one of the paper's tables: NUMBER is 1 to 11, or 1b for its figure.

    KEY=VALUE changes a value of all of its runs; `data.name=shapes` takes the embedded data set in
    place of the paper's. A run that is finished is not repeated, in whatever table it stands, and
    the same command goes on where it was interrupted.
    """
    from pointcmt_training.overrides import tell_taken_back
    from pointcmt_training.tables.grid import plan
    from pointcmt_training.tables.paper import load_table, numbers
    from pointcmt_training.tables.words import Asked
    from pointcmt_training.tables.work import finished, train_all
    from pointcmt_training.tables.write import write

    if list_tables or number is None:
        width = max(map(len, numbers()))
        click.echo("\n".join(f"{n:{width}}  {load_table(n).title}" for n in numbers()))
        return
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise click.UsageError("a table trains its runs side by side with --jobs, not by torchrun")
    tell_taken_back(overrides)
    asked = Asked(overrides, _roots(roots), recipe, seeds, output)
    grid = plan(load_table(number), asked, only)
    if dry_run:
        for name, job in grid.jobs.items():
            click.echo(f"{'done' if finished(job, output) else 'to do'}  {name}")
        for reason in dict.fromkeys(grid.missing.values()):
            click.echo(f"missing  {reason}")
        return
    command = shlex.join(["pointcmt-train", *click.get_current_context().obj])
    failures: dict[str, str] = {}

    def done(words: str) -> None:
        click.echo(words, err=True)
        write(grid, number, failures, command)

    try:
        train_all(grid.jobs, output, jobs, failures, done)
    except KeyboardInterrupt:
        click.echo("\nInterrupted; the same command goes on.", err=True)
        sys.exit(INTERRUPTED)
    for path in write(grid, number, failures, command):
        click.echo(path)
    sys.exit(1 if failures else 0)


def _roots(words: tuple[str, ...]) -> dict[str, str]:
    from pointcmt.data.catalog import parse_reference

    roots: dict[str, str] = {}
    for found in map(parse_reference, words):
        name, root = found.data.name, str(found.root)
        if roots.setdefault(name, root) != root:
            raise InputError(f"--data {name}: is given as {roots[name]} and as {root}")
    return roots
