"""The checkpoint in torch beside an artefact in the session that serves it."""

import contextlib
import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from pointcmt.models import Network
from pointcmt_export.convert.trace import OPS, op_name
from pointcmt_serve.engines import Outputs, Session

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Runner = Callable[[Floats, bool], Outputs]  # clouds (B, N, C), and whether indices are wanted


def checkpoint_runner(student: Network, device: str = "cpu") -> Runner:
    """Run the student itself, noting where wanted what its index ops return.

    On a GPU its arithmetic is float32 as on the CPU, without TF32.
    """
    module = cast(nn.Module, student)
    module = module if device == "cpu" else copy.deepcopy(module).to(device)

    def run(points: Floats, indices: bool) -> Outputs:
        recorder = _Recorder()
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        with torch.inference_mode(), recorder if indices else contextlib.nullcontext():
            logits = module(torch.from_numpy(points).to(device))
        return Outputs(logits.cpu().numpy(), recorder.indices)

    return run


def following(student: Network) -> Callable[[Floats, Mapping[str, Indices]], Floats]:
    """Run the student on indices that are given, by name, in place of those it would choose."""
    module = cast(nn.Module, student)

    def run(points: Floats, indices: Mapping[str, Indices]) -> Floats:
        with torch.inference_mode(), _Recorder(indices):
            logits: Floats = module(torch.from_numpy(points)).numpy()
        return logits

    return run


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the results of `pointcmt.ops`, named as `convert.trace` names them.

    Args:
        instead: results that take the place of what the ops of these names compute.
    """

    def __init__(self, instead: Mapping[str, Indices] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.indices: dict[str, Indices] = {}
        self._instead = instead or {}
        self._counts = dict.fromkeys(OPS, 0)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        op = op_name(func)
        if op is None:
            return func(*args, **(kwargs or {}))
        name = f"{op}_{self._counts[op]}"
        self._counts[op] += 1
        if name in self._instead:
            return torch.from_numpy(self._instead[name])
        result = func(*args, **(kwargs or {}))
        self.indices[name] = result.cpu().numpy()
        return result


def session_runner(shipped: Session, telling: Session, again: int = 0) -> Runner:
    """Run an artefact as it is served.

    Args:
        shipped: of the files that are shipped; all logits are theirs.
        telling: gives all indices; of a twin where the shipped file keeps some to itself.
        again: where indices are compared, how many mirrored batches go before, so that a session
            which replays what comes again replays it then.
    """

    def run(points: Floats, indices: bool) -> Outputs:
        for _ in range(again if indices else 0):
            shipped(-points)
        logits = shipped(points)
        return Outputs(logits, telling.run(points, indices=True).indices if indices else {})

    return run


def samples_points(student: Network, channels: int) -> bool:
    """Whether a student calls farthest point sampling, which a graph spells out as a loop."""
    points = np.random.default_rng(0).uniform(-1, 1, (1, student.min_points + 1, channels))
    chosen = checkpoint_runner(student)(points.astype(np.float32), True).indices
    return any(name.startswith("farthest_point_sample") for name in chosen)


def with_index_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the model that also puts out the indices inside the graph."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    for name in index_names(model):
        value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None)
        shown.graph.output.append(value)
    return shown


def index_names(model: onnx.ModelProto) -> list[str]:
    """Return the names of the index tensors inside the graph, as its metadata states them."""
    return [str(name) for name in json.loads(metadata(model).get("indices", "[]"))]


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Return the entries that pointcmt wrote into `metadata_props`, without their prefix."""
    prefix = "pointcmt."
    return {
        p.key.removeprefix(prefix): p.value
        for p in model.metadata_props
        if p.key.startswith(prefix)
    }
