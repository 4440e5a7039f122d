"""The command `pointcmt-classify`."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pointcmt.commands import command_errors, version_option
from pointcmt.errors import InputError
from pointcmt_serve.commands.options import device_option, engine_option, precision_option

if TYPE_CHECKING:
    from pointcmt_serve import Classifier, Prediction
    from pointcmt_serve.commands.reading import Ready

    Answers = list[tuple[str, Prediction | InputError]]
    Say = Callable[[Answers], None]

BATCH = 32  # files classified together
MANY = 256  # files; as many or fewer are read without further processes


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", type=click.Path())
@click.argument("files", metavar="FILE|FOLDER ...", nargs=-1, required=True, type=click.Path())
@click.option("--top", default=1, show_default=True, type=click.IntRange(min=1), help="classes")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a file.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write results as they come to a .csv or .jsonl file, and go on where it ends.",
)
@click.option(
    "--readers",
    type=click.IntRange(1, 256),
    help=f"Processes that read files  [1 for {MANY} files or fewer, else the cores, 8 at most].",
)
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
@click.option(
    "--explain",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write which points decided, FILE.npz and a picture FILE.svg for each FILE.",
)
@engine_option
@device_option
@precision_option
@version_option
@command_errors
def main(
    model: str,
    files: tuple[str, ...],
    top: int,
    as_json: bool,
    out: Path | None,
    readers: int | None,
    up: str,
    votes: int,
    explain: Path | None,
    engine: str,
    device: str,
    precision: str | None,
) -> None:
    """Classify point clouds and meshes with an exported student.

    MODEL is a model.onnx, the folder pointcmt-export wrote, hf:OWNER/NAME[@REVISION], such a
    folder on the Hugging Face hub, or modelnet40, a student that comes with the package. FILE is a
    cloud (.npy .npz .pcd .ply .xyz .txt .csv .pts .asc .las .laz .e57, KITTI's .bin) or a mesh
    (.off .obj .stl .ply .glb .gltf), whose surface is sampled; FOLDER stands for all of these in
    and below it. A file that cannot be classified is reported, the others are answered all the
    same, and the exit status is 1.

    A student knows objects upright. Say which axis is up in the files with --up; where neither
    you nor the format says it, it is guessed, and a line on the error stream says so.
    """
    from pointcmt_serve import Classifier
    from pointcmt_serve.commands.explaining import require_distinct
    from pointcmt_serve.commands.reading import find_files

    if out and as_json:
        raise InputError("--json prints and --out writes a file; give one of them")
    found = find_files(files, [place for place in (out, explain) if place is not None])
    if explain is not None:
        require_distinct(found)
    classifier = Classifier(
        model,
        engine=engine,
        device=device,
        batch_size=BATCH,
        precision=precision,
        votes=votes,
        up=up,
    )

    def run(wanted: Sequence[str], say: "Say") -> bool:
        return _run(classifier, wanted, up, readers, explain, say)

    if out is not None:
        made_with = {"up": up, "votes": votes, "engine": engine}
        failed = _to_file(out, classifier, made_with, top, found, run)
    elif as_json:
        records: list[dict[str, Any]] = []
        failed = run(found, lambda answers: records.extend(_record(*a, top) for a in answers))
        click.echo(json.dumps(records, indent=2))
    else:
        failed = run(found, partial(_show, top))
    sys.exit(1 if failed else 0)


def _run(
    classifier: "Classifier",
    files: Sequence[str],
    up: str,
    readers: int | None,
    explain: Path | None,
    say: "Say",
) -> bool:
    """Classify all files, hand each batch of answers to `say`, and return whether one failed."""
    from pointcmt_serve.commands.explaining import write_explained
    from pointcmt_serve.commands.reading import read_all

    if readers is None:
        readers = 1 if len(files) <= MANY else min(os.cpu_count() or 1, 8)
    failed, guessed = False, 0
    with closing(read_all(classifier.artefact, files, readers)) as read:
        while batch := list(islice(read, BATCH)):
            answers = _classify(classifier, batch, up)
            if explain is not None:
                answers = write_explained(explain, answers, classifier.artefact.up)
            say(answers)
            for _, answer in answers:
                failed |= isinstance(answer, InputError)
                guessed += not isinstance(answer, InputError) and answer.vertical.known == "guessed"
    if guessed:
        note = f"Note: the vertical axis of {guessed} of {len(files)} files was guessed"
        click.echo(f"{note}; state it with --up", err=True)
    return failed


def _to_file(
    out: Path,
    classifier: "Classifier",
    made_with: dict[str, Any],
    top: int,
    files: Sequence[str],
    run: Callable[[Sequence[str], "Say"], bool],
) -> bool:
    """Add what `out` lacks, and return whether a file in it failed, now or in an earlier run."""
    from pointcmt_serve.commands.results import Results

    results = Results(out, classifier.artefact.file, made_with, top)
    left = [file for file in dict.fromkeys(files) if file not in results.done]
    with click.progressbar(length=len(left), label=str(out), file=sys.stderr) as bar:

        def say(answers: "Answers") -> None:
            results.write(_record(*answer, top) for answer in answers)
            bar.update(len(answers))

        run(left, say)
    told = f"{out}: {len(results.done)} files, {len(left)} of them now, {results.failed} failed"
    click.echo(told, err=True)
    return results.failed > 0


def _classify(
    classifier: "Classifier", batch: "Sequence[tuple[str, Ready | InputError]]", up: str
) -> "Answers":
    import numpy as np

    ready = [each for _, each in batch if not isinstance(each, InputError)]
    predicted: list[Prediction] = []
    if ready:
        stacked = np.stack([each.points for each in ready])
        verticals = [classifier.vertical(up, each.up) for each in ready]
        predicted = classifier.predict(stacked, verticals, [each.size for each in ready])
    coming = iter(predicted)
    return [(f, each if isinstance(each, InputError) else next(coming)) for f, each in batch]


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


def _show(top: int, answers: "Answers") -> None:
    for file, answer in answers:
        if isinstance(answer, InputError):
            click.echo(f"Error: {answer}", err=True)
        else:
            scores = ", ".join(f"{c.label} {c.probability:.3f}" for c in answer.top(top))
            click.echo(f"{file}: {scores}")
