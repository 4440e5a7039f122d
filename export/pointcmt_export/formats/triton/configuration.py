"""`config.pbtxt` of each model, in the text format of Triton's ModelConfig message."""

import json
from dataclasses import dataclass
from typing import Literal

from pointcmt.errors import InputError
from pointcmt_export.options import Payload
from pointcmt_serve.artefact import Artefact

MOST = 2**31 - 1  # of a number in the configuration
OURS = "pointcmt.version"  # a parameter of every model
# What runs the network in Triton, the file it expects, and the exported file it is made of.
PLATFORMS: dict[Payload, tuple[str, str, str]] = {
    "onnx": ('platform: "onnxruntime_onnx"', "model.onnx", "model.onnx"),
    "plan": ('platform: "tensorrt_plan"', "model.plan", "model.engine"),
    "python": ('backend: "python"', "model.onnx", "model.onnx"),
}


@dataclass(frozen=True)
class Serving:
    """How Triton runs the model.

    Attributes:
        max_batch: the largest batch that waiting requests are joined to; for an engine, no more
            than its profile allows.
        delay_us: how long, in microseconds, a request waits for others to join it.
        instances: copies of the model on each device.
        device: "auto" (a GPU where there is one), "cpu" or "gpu".
        engine: what runs the network in Triton's Python backend, of
            `pointcmt_serve.engines.ENGINES`.
    """

    max_batch: int = 32
    delay_us: int = 2000
    instances: int = 1
    device: Literal["auto", "cpu", "gpu"] = "auto"
    engine: str = "onnxruntime"

    def __post_init__(self) -> None:
        counts = (self.max_batch, self.instances, self.delay_us + 1)
        if not all(1 <= count <= MOST for count in counts):
            raise InputError(
                f"a Triton model needs max_batch and instances of at least 1, no negative delay, "
                f"and less than {MOST} of each, but got {self.max_batch}, {self.instances} and "
                f"{self.delay_us}"
            )


def network(name: str, payload: Payload, student: Artefact, serving: Serving) -> str:
    """Return the configuration of the network: prepared clouds (points, C) to logits."""
    preferred = sorted({size for size in (8, 32) if size < serving.max_batch} | {serving.max_batch})
    engine = {"pointcmt.engine": serving.engine} if payload == "python" else {}
    return f"""\
{_head(name, PLATFORMS[payload][0], serving)}\
{_clouds("input", "points", -1, student)}\
{_logits(student)}\
dynamic_batching {{
  preferred_batch_size: [ {", ".join(map(str, preferred))} ]
  max_queue_delay_microseconds: {serving.delay_us}
}}
{_instances(serving, serving.device)}\
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
{_parameters(student, engine)}"""


def preparation(name: str, student: Artefact, serving: Serving) -> str:
    """Return the configuration of the preparation: clouds (N, C) to prepared ones (points, C)."""
    return f"""\
{_head(name, 'backend: "python"', serving)}\
{_clouds("input", "points", -1, student)}\
{_clouds("output", "prepared", student.points, student)}\
{_instances(serving, "cpu")}\
{_parameters(student, {})}"""


def ensemble(name: str, parts: tuple[str, str], student: Artefact, serving: Serving) -> str:
    """Return the configuration that joins `parts`, the preparation and the network."""
    first = _step(parts[0], {"points": "points"}, {"prepared": "prepared"})
    second = _step(parts[1], {"points": "prepared"}, {"logits": "logits"})
    return f"""\
{_head(name, 'platform: "ensemble"', serving)}\
{_clouds("input", "points", -1, student)}\
{_logits(student)}\
ensemble_scheduling {{
  step [
{first},
{second}
  ]
}}
{_parameters(student, {})}"""


def _head(name: str, platform: str, serving: Serving) -> str:
    return f"name: {_quoted(name)}\n{platform}\nmax_batch_size: {serving.max_batch}\n"


def _clouds(kind: str, name: str, points: int, student: Artefact) -> str:
    return f"""\
{kind} [
  {{
    name: {_quoted(name)}
    data_type: TYPE_FP32
    dims: [ {points}, {len(student.channels)} ]
  }}
]
"""


def _logits(student: Artefact) -> str:
    return f"""\
output [
  {{
    name: "logits"
    data_type: TYPE_FP32
    dims: [ {len(student.classes)} ]
    label_filename: "labels.txt"
  }}
]
"""


def _instances(serving: Serving, device: str) -> str:
    return f"""\
instance_group [
  {{
    count: {serving.instances}
    kind: KIND_{device.upper()}
  }}
]
"""


def _step(model: str, given: dict[str, str], gives: dict[str, str]) -> str:
    maps = [("input_map", given), ("output_map", gives)]
    lines = [
        f"      {kind} {{ key: {_quoted(key)} value: {_quoted(value)} }}"
        for kind, entries in maps
        for key, value in entries.items()
    ]
    return "\n".join(
        ["    {", f"      model_name: {_quoted(model)}", "      model_version: -1", *lines, "    }"]
    )


def _parameters(student: Artefact, more: dict[str, str]) -> str:
    kept = {
        "pointcmt.points": str(student.points),
        "pointcmt.normalization": student.normalization,
        "pointcmt.channels": ", ".join(student.channels),
        "pointcmt.up": student.up or "unknown",
        OURS: student.version,
        **more,
    }
    return "".join(
        f"parameters {{\n  key: {_quoted(key)}\n  value {{ string_value: {_quoted(value)} }}\n}}\n"
        for key, value in kept.items()
    )


def _quoted(text: str) -> str:
    """A string of protobuf's text format, which reads JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)
