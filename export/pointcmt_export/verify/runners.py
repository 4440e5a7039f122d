"""Running the checkpoint and the artefact side by side, with the indices they chose."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from pointcmt.models import Student
from pointcmt_export.convert.trace import OPS, op_name
from pointcmt_serve.host_indices import check_steps, host_indices

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Outputs:
    """What a network gave for a batch.

    Attributes:
        logits: (B, classes).
        indices: the result of each index op, by its name ("ball_query_0", ...).
    """

    logits: Floats
    indices: Mapping[str, Indices] = field(default_factory=dict)


Runner = Callable[[Floats], Outputs]


def checkpoint_runner(student: Student) -> Runner:
    """Run the student itself, noting what its index ops return."""
    module = cast(nn.Module, student)

    def run(points: Floats) -> Outputs:
        with torch.inference_mode(), _Recorder() as recorder:
            logits = module(torch.from_numpy(points))
        return Outputs(logits.numpy(), recorder.indices)

    return run


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the results of `pointcmt.ops`, named as `convert.trace` names them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.indices: dict[str, Indices] = {}
        self._counts = dict.fromkeys(OPS, 0)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if op := op_name(func):
            self.indices[f"{op}_{self._counts[op]}"] = result.numpy()
            self._counts[op] += 1
        return result


def samples_points(student: Student, channels: int) -> bool:
    """Whether a student calls farthest point sampling, which a graph spells out as a loop."""
    points = np.random.default_rng(0).uniform(-1, 1, (1, student.min_points + 1, channels))
    chosen = checkpoint_runner(student)(points.astype(np.float32)).indices
    return any(name.startswith("farthest_point_sample") for name in chosen)


def onnx_runner(model: onnx.ModelProto, threads: int = 0) -> Runner:
    """Run an ONNX artefact with onnxruntime on the CPU, with its indices as further outputs.

    The indices are named in the metadata; a model without them gives logits alone.
    """
    import onnxruntime

    shown = with_index_outputs(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    outputs = [output.name for output in session.get_outputs()]
    feed = host_feed(model)

    def run(points: Floats) -> Outputs:
        fed = feed(points)
        values = dict(zip(outputs, session.run(outputs, {"points": points, **fed}), strict=True))
        logits = np.asarray(values.pop("logits"), dtype=np.float32)
        return Outputs(logits, {**fed, **values})

    return run


def with_index_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the model that also puts out the indices named in its metadata."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    for name in index_names(model):
        value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None)
        shown.graph.output.append(value)
    return shown


def index_names(model: onnx.ModelProto) -> list[str]:
    """Return the names of the index tensors inside the graph, as its metadata states them."""
    return [str(name) for name in json.loads(metadata(model).get("indices", "[]"))]


def host_feed(model: onnx.ModelProto) -> Callable[[Floats], dict[str, Indices]]:
    """Return what computes the further inputs of a host-sampled graph for points (B, N, C)."""
    steps = check_steps(json.loads(metadata(model).get("inputs", "[]")), "metadata pointcmt.inputs")
    return lambda points: host_indices(steps, points)


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Return the entries that pointcmt wrote into `metadata_props`, without their prefix."""
    prefix = "pointcmt."
    return {
        p.key.removeprefix(prefix): p.value
        for p in model.metadata_props
        if p.key.startswith(prefix)
    }
