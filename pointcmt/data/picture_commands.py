"""The commands of `pointcmt-data` that make pictures: `views` and `show`."""

import json
import os
import sys
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from pointcmt.commands import command_errors
from pointcmt.errors import InputError

if TYPE_CHECKING:
    from pointcmt.data.catalog import Reference
    from pointcmt.views.batch import ViewJob
    from pointcmt.views.rendering import Look

KINDS = {  # the words of a recipe's views.kind, and short ones
    "rendered": "render",
    "surface": "surface",
    "projected": "project",
    "render": "render",
    "project": "project",
}
cache_option = click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for prepared clouds; default: in the user's cache folder.",
)
up_option = click.option(
    "--up",
    type=click.Choice(["auto", "y", "z"]),
    default="auto",
    show_default=True,
    help="The objects' vertical; auto takes z for .off and .stl, else y.",
)


def _share(ctx: click.Context, param: click.Parameter, value: str | None) -> slice:
    """Read "2/8" as every eighth object, from the second on."""
    if value is None:
        return slice(None)
    part, _, parts = value.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise click.BadParameter(f"{value!r} is not a part of so many, such as 2/8")
    return slice(int(part) - 1, None, int(parts))


@click.command()
@click.argument("path")
@click.option("--out", type=click.Path(path_type=Path), help="Default: PATH with -views added.")
@click.option(
    "--kind",
    type=click.Choice(["auto", *KINDS]),
    default="auto",
    show_default=True,
    metavar="auto|rendered|surface|projected",
    help="Meshes rendered, or clouds, by the surface of their alpha shape or projected; auto "
    "renders class folders of meshes, else projects.",
)
@click.option(
    "--views",
    "view_set",
    type=click.Choice(["six", "ring12", "dodecahedron"]),
    help="Default: dodecahedron (20 views) to render, six to project.",
)
@click.option("--size", type=click.IntRange(8, 4096), help="Pixels; default: 224 and 128.")
@click.option("--splat", type=click.IntRange(1, 64), default=3, show_default=True, help="Pixels.")
@click.option(
    "--look",
    type=click.Choice(["shaded", "normals"]),
    default="shaded",
    show_default=True,
    help="Of what is rendered; normals colour each face by how it is turned to the camera.",
)
@up_option
@click.option("--workers", type=click.IntRange(1), help="Processes; default: one a core.")
@click.option("--share", callback=_share, metavar="PART/PARTS", help="Only this machine's objects.")
@cache_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@command_errors
def views(
    path: str,
    out: Path | None,
    kind: str,
    view_set: str | None,
    size: int | None,
    splat: int,
    look: "Look",
    up: str,
    workers: int | None,
    share: slice,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Make pictures of all objects of the data set PATH: a folder, NAME:FOLDER or `shapes`.

    They are written as <class>/<split>/<name>_001.png and on. Pictures that are there are not made
    again, so an interrupted run goes on. An object that fails is told, the others are made all the
    same, and the exit status is 1.
    """
    from tqdm import tqdm

    from pointcmt.data.tools.viewing import holds_meshes, refer, vertical
    from pointcmt.views.batch import write_views
    from pointcmt.views.pictures import ViewSettings

    reference = refer(path)
    meshes = kind == "auto" and holds_meshes(reference)
    drawn = KINDS.get(kind) or ("render" if meshes else "project")
    if look != "shaded" and drawn == "project":
        raise InputError(f"--look {look} is for what is rendered; these objects are projected")
    jobs = _view_jobs(reference, drawn == "render", cache)
    settings = ViewSettings(
        kind=drawn,
        views=view_set or ("six" if drawn == "project" else "dodecahedron"),
        size=size or (128 if drawn == "project" else 224),
        up=(reference.data.up or vertical(reference.root)) if up == "auto" else up,
        splat=splat,
        look=look,
        points=len(cast(Sized, jobs[0].source)) if drawn == "surface" else 0,
    )
    root = Path(reference.data.name) if reference.data.embedded else reference.root
    out = out or root.with_name(f"{root.name}-views")
    with tqdm(total=len(jobs[share]), disable=None, unit="object") as bar:
        report = write_views(jobs, out, settings, workers or os.cpu_count() or 1, bar.update, share)
    for line in report.failed:
        click.echo(f"failed: {line}", err=True)
    for line in report.plainer:
        click.echo(f"note: {line}", err=True)
    counts = {"made": report.made, "skipped": report.skipped, "failed": report.failed}
    if as_json:
        click.echo(json.dumps({"out": str(out), **counts}, indent=2))
    else:
        click.echo(f"{report.made} made, {report.skipped} there, {len(report.failed)} failed")
        click.echo(out)
    sys.exit(1 if report.failed else 0)


def _view_jobs(reference: "Reference", render: bool, cache: Path | None) -> "list[ViewJob]":
    from pointcmt.data.tools.viewing import cloud_jobs, mesh_jobs, openers

    if render:
        return mesh_jobs(reference)
    return [job for opened in openers(reference, cache) for job in cloud_jobs(opened())]


@click.command()
@click.argument("sample")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("sheet.png"),
    show_default=True,
    help="The picture to write.",
)
@click.option("--points", type=click.IntRange(1, 1_000_000), default=1024, show_default=True)
@up_option
@cache_option
@command_errors
def show(sample: str, out: Path, points: int, up: str, cache: Path | None) -> None:
    """Draw SAMPLE, its cloud and its views, and print the place of the picture.

    SAMPLE is a mesh or a cloud, or an object of a data set: FOLDER#3 or FOLDER#chair/chair_0001,
    for the embedded set shapes#3.
    """
    if out.suffix.lower() != ".png":
        raise InputError(f"--out {out}: the picture is a PNG; give it a name that ends in .png")
    from pointcmt.data.tools.sample import load_sample
    from pointcmt.views.pictures import UP
    from pointcmt.views.sheet import draw_sheet, save_sheet

    loaded = load_sample(sample, points, cache)
    axis = loaded.up if up == "auto" else up
    save_sheet(draw_sheet(loaded.cloud, loaded.surfaces, UP[axis]), out)
    click.echo(out)
