"""The command `pointcmt-data`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pointcmt.commands import command_errors, version_option
from pointcmt.data.picture_commands import show, views
from pointcmt.errors import InputError

if TYPE_CHECKING:
    from pointcmt.fetch.mirrors import Archive

ROOT = "data"
root_option = click.option(
    "--root",
    default=ROOT,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of all data sets.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@version_option
def main() -> None:
    """Fetch, check and look at data sets, and make images of their objects."""


main.add_command(views)
main.add_command(show)


@main.command("list")
@root_option
@json_option
def list_command(root: Path, as_json: bool) -> None:
    """List the data sets by the names that recipes and commands use, and which are there."""
    from pointcmt.fetch.download import UNKNOWN_GIGABYTES

    rows = [_row(name, about, archive, root) for name, about, archive in _entries()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        limit = f"<{UNKNOWN_GIGABYTES:.0f} GB" if row["page"] else "-"
        size = f"{row['gigabytes']:.1f} GB" if row["gigabytes"] else limit
        click.echo(f"{row['name']:24} {size:>8}  {row['about']}")
        if row["present"]:
            click.echo(f"{'':35}in {row['folder']}")


def _entries() -> list[tuple[str, str, "Archive | None"]]:
    from pointcmt.data.catalog import CATALOG, PICTURES
    from pointcmt.data.readers.rendered import ABOUT

    clouds = [(data.name, data.about, data.archive) for data in CATALOG.values()]
    return [*clouds, *((name, ABOUT, archive) for name, archive in PICTURES.items())]


def _row(name: str, about: str, archive: "Archive | None", root: Path) -> dict[str, Any]:
    if archive is None:
        return {"name": name, "about": about, "gigabytes": None, "present": False, "page": None}
    folder = root / archive.folder
    return {
        "name": name,
        "about": about,
        "gigabytes": archive.gigabytes,
        "folder": str(folder),
        "present": folder.is_dir(),
        "page": archive.page,
        "sources": [mirror.url for mirror in archive.mirrors],
    }


@main.command()
@click.argument("name")
@root_option
@click.option(
    "--from-archive",
    type=click.Path(path_type=Path),
    help="Your own copy of the archive; nothing is fetched.",
)
@command_errors
def download(name: str, root: Path, from_archive: Path | None) -> None:
    """Bring data set NAME (see `list`) to the root folder and print its place.

    An interrupted download goes on where it stopped when the same command is run again. If every
    source fails, the steps to take by hand are told.
    """
    from tqdm import tqdm

    from pointcmt.fetch.download import download as fetch

    archives = {entry: archive for entry, _, archive in _entries() if archive is not None}
    if name not in archives:
        known = ", ".join(archives)
        raise InputError(f"no data set {name!r} to download: use one of {known}")
    with tqdm(disable=None, unit="B", unit_scale=True, unit_divisor=1000) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        folder = fetch(
            name,
            archives[name],
            root,
            from_archive=from_archive,
            progress=progress,
            say=lambda line: tqdm.write(line, file=sys.stderr),
        )
    click.echo(folder)


@main.command()
@click.argument("path")
@json_option
@command_errors
def check(path: str, as_json: bool) -> None:
    """Check the data set PATH: a folder, NAME:FOLDER where a folder holds several, or `shapes`.

    Reads every stored point of every object and writes nothing: counts objects and classes, and
    looks for objects that cannot be read, values that are not finite, and objects that occur in
    two splits. The exit status is 1 if there is a problem.
    """
    from pointcmt.data.tools.check import check as examine
    from pointcmt.data.tools.viewing import refer, stored_splits

    report = examine(stored_splits(refer(path)))
    click.echo(json.dumps(report.as_dict(), indent=2) if as_json else str(report))
    sys.exit(0 if report.ok else 1)
