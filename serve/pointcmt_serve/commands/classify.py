"""The command `pointcmt-classify`."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pointcmt.commands import command_errors, version_option
from pointcmt.errors import InputError
from pointcmt_serve.commands.options import device_option, engine_option

if TYPE_CHECKING:
    from pointcmt_serve import Classifier, Prediction
    from pointcmt_serve.orientation import Vertical

BATCH = 32  # files read, prepared and classified together


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", type=click.Path())
@click.argument("files", metavar="FILE ...", nargs=-1, required=True, type=click.Path())
@click.option("--top", default=1, show_default=True, type=click.IntRange(min=1), help="classes")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a file.")
@click.option(
    "--up",
    default="auto",
    show_default=True,
    type=click.Choice(["x", "y", "z", "-x", "-y", "-z", "auto", "as-is"]),
    help="Vertical axis of the files; auto: what the format settles, else a guess.",
)
@click.option(
    "--votes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Versions of each cloud whose answers are averaged.",
)
@engine_option
@device_option
@version_option
@command_errors
def main(
    model: str,
    files: tuple[str, ...],
    top: int,
    as_json: bool,
    up: str,
    votes: int,
    engine: Any,
    device: Any,
) -> None:
    """Classify point clouds and meshes with an exported student.

    MODEL is a model.onnx or the folder pointcmt-export wrote. FILE is a cloud (.npy .npz .pcd .ply
    .xyz .txt .csv .pts .asc .las .laz .e57, KITTI's .bin) or a mesh (.off .obj .stl .ply .glb
    .gltf), whose surface is sampled. A file that cannot be classified is reported, the others are
    answered all the same, and the exit status is 1.

    A student knows objects upright. Say which axis is up in the files with --up; where neither
    you nor the format says it, it is guessed, and a line on the error stream says so.
    """
    from pointcmt_serve import Classifier

    classifier = Classifier(
        model, engine=engine, device=device, batch_size=BATCH, votes=votes, up=up
    )
    failed, guessed = False, 0
    records = []
    for start in range(0, len(files), BATCH):
        for file, answer in _classify(classifier, files[start : start + BATCH], up):
            failed |= isinstance(answer, InputError)
            guessed += not isinstance(answer, InputError) and answer.vertical.known == "guessed"
            records.append(_record(file, answer, top))
            if not as_json:
                _show(file, answer, top)
    if as_json:
        click.echo(json.dumps(records, indent=2))
    if guessed:
        click.echo(
            f"Note: the vertical axis of {guessed} of {len(files)} files was guessed; "
            "state it with --up",
            err=True,
        )
    sys.exit(1 if failed else 0)


def _classify(
    classifier: "Classifier", files: Sequence[str], up: str
) -> Iterator[tuple[str, "Prediction | InputError"]]:
    import numpy as np

    answers: dict[int, Prediction | InputError] = {}
    clouds, verticals = {}, {}
    for i, file in enumerate(files):
        try:
            clouds[i], verticals[i] = _read(classifier, file, up)
        except InputError as error:
            answers[i] = error
    if clouds:
        batch = np.stack(list(clouds.values()))
        predictions = classifier.predict(batch, list(verticals.values()))
        answers.update(zip(clouds, predictions, strict=True))
    yield from ((file, answers[i]) for i, file in enumerate(files))


def _read(classifier: "Classifier", file: str, up: str) -> "tuple[Any, Vertical]":
    from pointcmt.geometry import read_cloud

    cloud = read_cloud(file, classifier.artefact.channels)
    return classifier.prepare(cloud.points, file), classifier.vertical(up, cloud.up)


def _record(file: str, answer: "Prediction | InputError", top: int) -> dict[str, Any]:
    if isinstance(answer, InputError):
        return {"file": file, "error": str(answer)}
    return {
        "file": file,
        "label": answer.label,
        "index": answer.index,
        "probability": answer.probability,
        "up": {"axis": answer.vertical.axis, "known": answer.vertical.known},
        "logits": [float(value) for value in answer.logits],
        "top": [asdict(candidate) for candidate in answer.top(top)],
    }


def _show(file: str, answer: "Prediction | InputError", top: int) -> None:
    if isinstance(answer, InputError):
        click.echo(f"Error: {answer}", err=True)
        return
    scores = ", ".join(f"{c.label} {c.probability:.3f}" for c in answer.top(top))
    click.echo(f"{file}: {scores}")
