"""A model repository for NVIDIA Triton Inference Server, made of an exported folder."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.onnx_file import read_onnx
from pointcmt_export.options import Options
from pointcmt_export.source import Source
from pointcmt_export.verify import Check
from pointcmt_export.verify.check import decide
from pointcmt_serve.artefact import Artefact

Payload = Literal["onnx", "plan"]

# Triton's name of the platform, the file it expects, and the exported file it is made of.
PLATFORMS: dict[Payload, tuple[str, str, str]] = {
    "onnx": ("onnxruntime_onnx", "model.onnx", "model.onnx"),
    "plan": ("tensorrt_plan", "model.plan", "model.engine"),
}
FOLDER = "triton"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what writes a repository `triton/` that serves the ONNX file."""
    return write


def write(job: Job) -> list[Check]:
    """Write the repository `triton/` beside the ONNX file."""
    place = write_repository(job.folder, job.folder / FOLDER)
    served = (place / "1" / "model.onnx").read_bytes() == (job.folder / "model.onnx").read_bytes()
    detail = f"{FOLDER}/{place.name} serves the verified model.onnx"
    return [decide("triton", served, detail if served else f"{FOLDER} holds another model")]


@dataclass(frozen=True)
class Serving:
    """How Triton runs the model.

    Attributes:
        max_batch: the largest batch that waiting requests are joined to; for an engine, no more
            than its profile allows.
        delay_us: how long, in microseconds, a request waits for others to join it.
        instances: copies of the model on each device.
        device: "auto" (a GPU where there is one), "cpu" or "gpu".
    """

    max_batch: int = 32
    delay_us: int = 2000
    instances: int = 1
    device: Literal["auto", "cpu", "gpu"] = "auto"

    def __post_init__(self) -> None:
        if self.max_batch < 1 or self.instances < 1 or self.delay_us < 0:
            raise InputError(
                f"a Triton model needs max_batch and instances of at least 1 and no negative "
                f"delay, but got {self.max_batch}, {self.instances} and {self.delay_us}"
            )


def write_repository(
    folder: Path | str,
    repository: Path | str,
    *,
    payload: Payload = "onnx",
    name: str | None = None,
    serving: Serving | None = None,
) -> Path:
    """Write `repository`/`name` with `config.pbtxt`, `labels.txt` and version 1 of the model.

    A client sends clouds (N, C) that are prepared as in training (see the parameters in
    `config.pbtxt`), and receives logits; Triton's classification extension names their classes.

    Args:
        folder: an exported folder.
        repository: a Triton model repository, which may hold other models and is made if missing.
        payload: "onnx", or "plan" for a TensorRT engine that Triton's own TensorRT can load.
        name: the model's name in Triton; by default the student's.
        serving: how Triton runs it.

    Returns:
        The model's folder, `repository`/`name`.

    Raises:
        InputError: the folder holds no such artefact, Triton could not serve it, or the name
            is not one Triton accepts.
    """
    folder = Path(folder)
    student = _servable(folder / "model.onnx")
    name = name or re.sub(r"[^A-Za-z0-9_.-]+", "-", student.student)
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r}: is no name for a Triton model; use letters, digits, '_', '-' and '.'"
        )
    _, served, exported = PLATFORMS[payload]
    if not (folder / exported).is_file():
        raise InputError(f"{folder}: holds no {exported}; export the model to it first")
    target = Path(repository) / name
    labels = "".join(f"{label}\n" for label in student.classes)
    text = config(name, payload, student, serving or Serving())
    with write_beside(target) as fresh:
        (fresh / "1").mkdir(parents=True)
        shutil.copyfile(folder / exported, fresh / "1" / served)
        (fresh / "labels.txt").write_text(labels, encoding="utf-8")
        (fresh / "config.pbtxt").write_text(text, encoding="utf-8")
    return target


def config(name: str, payload: Payload, student: Artefact, serving: Serving) -> str:
    """Return `config.pbtxt`, in the text format of Triton's ModelConfig message."""
    preferred = sorted({size for size in (8, 32) if size < serving.max_batch} | {serving.max_batch})
    kind = f"KIND_{serving.device.upper()}"
    kept = {
        "pointcmt.points": str(student.points),
        "pointcmt.normalization": student.normalization,
        "pointcmt.channels": ", ".join(student.channels),
        "pointcmt.up": student.up or "unknown",
        "pointcmt.version": student.version,
    }
    return f"""\
name: {_quoted(name)}
platform: "{PLATFORMS[payload][0]}"
max_batch_size: {serving.max_batch}
input [
  {{
    name: "points"
    data_type: TYPE_FP32
    dims: [ -1, {len(student.channels)} ]
  }}
]
output [
  {{
    name: "logits"
    data_type: TYPE_FP32
    dims: [ {len(student.classes)} ]
    label_filename: "labels.txt"
  }}
]
dynamic_batching {{
  preferred_batch_size: [ {", ".join(map(str, preferred))} ]
  max_queue_delay_microseconds: {serving.delay_us}
}}
instance_group [
  {{
    count: {serving.instances}
    kind: {kind}
  }}
]
model_warmup [
  {{
    name: "one cloud"
    batch_size: 1
    inputs {{
      key: "points"
      value {{
        data_type: TYPE_FP32
        dims: [ {student.points}, {len(student.channels)} ]
        random_data: true
      }}
    }}
  }}
]
""" + "".join(
        f"parameters {{\n  key: {_quoted(key)}\n  value {{ string_value: {_quoted(value)} }}\n}}\n"
        for key, value in kept.items()
    )


def _quoted(text: str) -> str:
    """A string of protobuf's text format, which reads JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)


def _servable(file: Path) -> Artefact:
    model, student = read_onnx(file)
    more = [value.name for value in model.graph.input if value.name != "points"]
    if more:
        raise InputError(
            f"{file}: wants indices computed outside the graph ({more[0]}, ...), which Triton "
            "cannot do; export it with --sampling graph"
        )
    if any(not label.strip() or "\n" in label for label in student.classes):
        raise InputError(f"{file}: has a class name that is blank or longer than one line")
    return student
