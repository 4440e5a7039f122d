"""`pointcmt-import`: the weight file of a public implementation becomes a model folder."""

import json
from pathlib import Path
from typing import Any

import click

from pointcmt.commands import command_errors, version_option
from pointcmt.errors import InputError

UNNAMED = "the classes are called class-0, class-1, ...; name them with --classes"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    required=True,
    metavar="SOURCE",
    help="Where FILE comes from: pointnet2-yanx27, pointnet2-erikwijmans, dgcnn-wangyue, "
    "dgcnn-antao97, rscnn-yochengliu, pointmlp-maxu, pointcmt-released or torchvision-resnet.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write."
)
@click.option(
    "--classes",
    "classes_file",
    type=click.Path(path_type=Path),
    help="Text file with a class name a line, in the order of the logits; where the number "
    "of classes is not that of ModelNet40, ModelNet10 or ScanObjectNN, they are class-0, class-1 "
    "and so on without it.",
)
@click.option("--points", default=1024, show_default=True, help="Points of a cloud at inference.")
@click.option(
    "--normalization", help="How clouds are normalised; the source's own rule by default."
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of the student that a file cannot tell, such as k=40 for DGCNN on 2,048 points.",
)
@click.option(
    "--weights",
    default="",
    metavar="NAME",
    help="Which weights, where FILE holds those of several networks, such as model_ema.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@version_option
@command_errors
def main(
    file: Path,
    source: str,
    output: Path,
    classes_file: Path | None,
    points: int,
    normalization: str | None,
    options: tuple[str, ...],
    weights: str,
    as_json: bool,
) -> None:
    """Import FILE, a checkpoint of a public implementation, as a model folder.

    Every tensor of FILE must be accounted for; nothing in it is ever run.
    """
    from pointcmt.geometry import NORMALIZATIONS
    from pointcmt.importers.sources import import_checkpoint

    if normalization is not None and normalization not in NORMALIZATIONS:
        raise InputError(f"--normalization {normalization}: use {', '.join(NORMALIZATIONS)}")
    if points < 1:
        raise InputError(f"--points {points}: must be at least 1")
    folder = import_checkpoint(
        file,
        source,
        output,
        classes=_read_names(classes_file) if classes_file else None,
        points=points,
        normalization=normalization,
        options=_options(options),
        weights=weights,
    )
    config = json.loads((folder / "config.json").read_text())
    if classes_file is None and config["classes"][0] == "class-0":
        click.echo(f"Warning: {file}: {UNNAMED}", err=True)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "config": config}))
    else:
        network = config.get("student") or config["backbone"]
        click.echo(f"{network} with {len(config['classes'])} classes")
        click.echo(folder)


def _read_names(path: Path) -> list[str]:
    try:
        names = [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    if len(set(names)) != len(names):
        raise InputError(f"{path}: a class name stands twice")
    return names


def _options(words: tuple[str, ...]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, value in map(_parse_option, words):
        if options.setdefault(key, value) != value:
            raise InputError(f"--option {key}: is given as {options[key]} and as {value}")
    return options


def _parse_option(text: str) -> tuple[str, Any]:
    key, sign, value = text.partition("=")
    if not (sign and key):
        raise InputError(f"--option {text}: write KEY=VALUE")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
