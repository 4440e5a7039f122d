"""The command `pointcmt-segment`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pointcmt.commands import command_errors, version_option
from pointcmt.errors import InputError
from pointcmt_serve.commands.options import device_option, engine_option

if TYPE_CHECKING:
    from pointcmt_serve import Segmenter


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", type=click.Path())
@click.argument("files", metavar="FILE|FOLDER ...", nargs=-1, required=True, type=click.Path())
@click.option("--category", required=True, help="The class of the objects, as the model names it.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for a coloured PLY of each file, with the number of each point's part.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a file.")
@click.option(
    "--up",
    default="auto",
    show_default=True,
    type=click.Choice(["x", "y", "z", "-x", "-y", "-z", "auto", "as-is"]),
    help="Vertical axis of the files; auto: what the format settles, else as they are.",
)
@engine_option
@device_option
@version_option
@command_errors
def main(
    model: str,
    files: tuple[str, ...],
    category: str,
    out: Path | None,
    as_json: bool,
    up: str,
    engine: str,
    device: str,
) -> None:
    """Find the parts of objects in point clouds and meshes with an exported part segmenter.

    MODEL is a model.onnx or the folder pointcmt-export wrote. FILE is a cloud or a mesh, whose
    surface is sampled; FOLDER stands for all of these in and below it. A file that cannot be
    segmented is reported, the others are answered all the same, and the exit status is 1.
    """
    from pointcmt_serve import Segmenter
    from pointcmt_serve.commands.reading import find_files

    segmenter = Segmenter(model, engine=engine, device=device)
    found = find_files(files)
    stems = [Path(file).stem for file in found]
    if out and len(set(stems)) < len(stems):
        raise InputError("--out: two files have one name; segment them into different folders")
    records = [_segmented(segmenter, file, category, up, out) for file in found]
    if as_json:
        click.echo(json.dumps(records, indent=2))
    else:
        for record in records:
            _show(record)
    sys.exit(1 if any("error" in record for record in records) else 0)


def _segmented(
    segmenter: "Segmenter", file: str, category: str, up: str, out: Path | None
) -> dict[str, Any]:
    """Segment one file, write its colours where they are wanted, and say what was found."""
    from pointcmt_serve.commands.reading import read_there
    from pointcmt_serve.ply import write_parts

    try:
        cloud = read_there(file, segmenter.artefact.own_channels)
        axis = (cloud.up if segmenter.artefact.up else None) or "as-is" if up == "auto" else up
        [found] = segmenter([cloud.points], category, up=axis)
        if out:
            write_parts(out / f"{Path(file).stem}.ply", cloud.points[:, :3], found.index)
    except InputError as error:
        return {"file": file, "error": str(error)}
    return {"file": file, "category": category, "points": len(found.index), "shares": found.shares}


def _show(record: dict[str, Any]) -> None:
    if "error" in record:
        click.echo(f"Error: {record['error']}", err=True)
    else:
        shares = ", ".join(f"{name} {share:.1%}" for name, share in record["shares"].items())
        click.echo(f"{record['file']}: {shares}")
