"""The folders of a Triton model repository."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.formats.triton import configuration
from pointcmt_export.formats.triton.configuration import OURS, PLATFORMS, Serving
from pointcmt_export.onnx_file import read_onnx
from pointcmt_export.options import Clouds, Options, Payload
from pointcmt_export.source import Source
from pointcmt_export.verify import Check
from pointcmt_export.verify.check import decide
from pointcmt_serve.artefact import Artefact
from pointcmt_serve.engines import ENGINES
from pointcmt_serve.engines.session import POINTS
from pointcmt_serve.engines.side_car import path_of

FOLDER = "triton"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
STEP = "from pointcmt_serve.triton import {} as TritonPythonModel  # noqa: F401\n"


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what writes a repository `triton/` that serves the ONNX file."""
    return write


def write(job: Job) -> list[Check]:
    """Write the repository `triton/` beside the ONNX file.

    What takes more than points runs in Triton's Python backend, through the session of
    `pointcmt_serve` in which the ONNX file was verified.
    """
    payload: Payload = "onnx" if job.expected.inputs == (POINTS,) else "python"
    place = write_repository(job.folder, job.folder / FOLDER, payload=payload)
    served = (place / "1" / "model.onnx").read_bytes() == (job.folder / "model.onnx").read_bytes()
    where = " in Triton's Python backend" if payload == "python" else ""
    detail = f"{FOLDER}/{place.name} serves the verified model.onnx{where}"
    return [decide("triton", served, detail if served else f"{FOLDER} holds another model")]


def write_repository(
    folder: Path | str,
    repository: Path | str,
    *,
    payload: Payload = "onnx",
    clouds: Clouds = "prepared",
    name: str | None = None,
    serving: Serving | None = None,
) -> Path:
    """Write `repository`/`name` with `config.pbtxt`, `labels.txt` and version 1 of the model.

    A client sends clouds (N, C) and receives logits; Triton's classification extension names their
    classes. Raw clouds go through an ensemble `name` of `name`-prepare, which Triton's Python
    backend runs (`pointcmt_serve.triton`), and `name`-network.

    Args:
        folder: an exported folder.
        repository: a Triton model repository, which may hold other models and is made if missing.
        payload: "onnx", "plan" for a TensorRT engine that Triton's own TensorRT can load, or
            "python" for an engine of this package in Triton's Python backend.
        clouds: "raw", or "prepared" as in training (see the parameters in `config.pbtxt`).
        name: the model's name in Triton; by default the student's.
        serving: how Triton runs it.

    Returns:
        The model's folder, `repository`/`name`.

    Raises:
        InputError: the folder holds no such artefact, Triton could not serve it, or the name
            is not one Triton accepts.
    """
    folder, repository, serving = Path(folder), Path(repository), serving or Serving()
    student = _servable(folder / "model.onnx", payload)
    name = name or re.sub(r"[^A-Za-z0-9_.-]+", "-", student.student)
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r}: is no name for a Triton model; use letters, digits, '_', '-' and '.'"
        )
    if payload == "python" and serving.engine not in ENGINES:
        raise InputError(f"unknown engine {serving.engine!r}; use {' or '.join(ENGINES)}")
    parts = f"{name}-prepare", f"{name}-network"
    _require_replaceable(repository, [name] if clouds == "prepared" else [name, *parts])
    if clouds == "prepared":
        return _write_network(folder, repository / name, payload, student, serving)
    _write_network(folder, repository / parts[1], payload, student, serving)
    text = configuration.preparation(parts[0], student, serving)
    _write_model(repository / parts[0], text, {}, {"model.py": STEP.format("Prepare")})
    text = configuration.ensemble(name, parts, student, serving)
    return _write_model(repository / name, text, _labels(student), {})


def _write_network(
    folder: Path, target: Path, payload: Payload, student: Artefact, serving: Serving
) -> Path:
    _, served, exported = PLATFORMS[payload]
    files: dict[str, Path | str] = {served: folder / exported}
    if payload == "python":
        engine = folder / ENGINES[serving.engine].file
        files |= {file.name: file for file in (engine, Path(f"{engine}.json")) if file.is_file()}
        files["model.py"] = STEP.format("Network")
        exported = engine.name
    if not (folder / exported).is_file():
        raise InputError(f"{folder}: holds no {exported}; export the model to it first")
    if payload == "plan":
        _require_batches(folder / exported, serving.max_batch)
    text = configuration.network(target.name, payload, student, serving)
    return _write_model(target, text, _labels(student), files)


def _require_replaceable(repository: Path, names: Sequence[str]) -> None:
    """Refuse to replace a folder that is no model of ours, as another model or a checkpoint."""
    for place in (repository / name for name in names):
        config = place / "config.pbtxt"
        ours = config.is_file() and OURS in config.read_text(encoding="utf-8", errors="replace")
        if place.is_dir() and any(place.iterdir()) and not ours:
            raise InputError(
                f"{place}: holds something other than a Triton model of pointcmt-export, which "
                "would be replaced; choose another --name or folder"
            )


def _require_batches(engine: Path, most: int) -> None:
    """Refuse batches that a plan's profile does not hold: Triton would not load it."""
    file = path_of(engine)
    if not file.is_file():
        return
    try:
        low, _, high = json.loads(file.read_text(encoding="utf-8"))["profile"]["batch"]
        fits = low <= 1 and most <= high
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: no readable side-car of an engine; export again") from error
    if not fits:
        raise InputError(
            f"{engine}: was built for {low} to {high} clouds at once, not for 1 to {most}; choose "
            "another --max-batch, or export again with --profile-batch"
        )


def _write_model(
    target: Path, config: str, labels: Mapping[str, str], files: Mapping[str, Path | str]
) -> Path:
    """Write one model; `files` of its version are copied, or written where they are text."""
    with write_beside(target) as fresh:
        (fresh / "1").mkdir(parents=True)
        for name, content in files.items():
            if isinstance(content, Path):
                shutil.copyfile(content, fresh / "1" / name)
            else:
                (fresh / "1" / name).write_text(content, encoding="utf-8")
        for name, text in {**labels, "config.pbtxt": config}.items():
            (fresh / name).write_text(text, encoding="utf-8")
    return target


def _labels(student: Artefact) -> dict[str, str]:
    return {"labels.txt": "".join(f"{label}\n" for label in student.classes)}


def _servable(file: Path, payload: Payload) -> Artefact:
    model, student = read_onnx(file)
    more = [value.name for value in model.graph.input if value.name != POINTS]
    if more and payload != "python":
        raise InputError(
            f"{file}: wants indices computed outside the graph ({more[0]}, ...), which Triton "
            "alone cannot do; export it with --sampling graph, or take the payload python"
        )
    if any(not label.strip() or "\n" in label for label in student.classes):
        raise InputError(f"{file}: has a class name that is blank or longer than one line")
    return student
