"""Converting is most of an export: what was converted once in a test run is not converted again."""

import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from pointcmt.files import write_beside
from pointcmt_export import exporter
from pointcmt_export.convert.host_steps import HostStep
from pointcmt_export.convert.maxima import Maxima
from pointcmt_export.convert.to_onnx import Converted
from pointcmt_export.convert.trace import IndexOp, Traced


def keep_conversions(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the exporter take from `folder`, and keep there, what all processes convert."""
    patch.setattr(exporter, "trace", _kept_traces(exporter.trace))
    patch.setattr(exporter, "to_onnx", _kept_files(exporter.to_onnx, folder))
    # torch lists all of its ONNX functions anew for every model that it converts.
    every = cache(ONNXRegistry.from_torchlib)
    patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(every))


def _kept_traces(trace: Callable[..., Traced]) -> Callable[..., Traced]:
    """Return `trace` with its results kept by the module, its weights and its settings."""
    kept: dict[str, Traced] = {}

    def traced(module: nn.Module, channels: int, min_points: int) -> Traced:
        key = _digest(module, channels, min_points)
        if key not in kept:
            kept[key] = trace(module, channels, min_points)
        return kept[key]

    return traced


def _kept_files(convert: Callable[..., Converted], folder: Path) -> Callable[..., Converted]:
    """Return `to_onnx` with its results kept by the graph, its weights and the host's steps."""

    def to_onnx(
        traced: Traced,
        maxima: Maxima,
        steps: Sequence[HostStep] = (),
        on_host: Sequence[IndexOp] = (),
    ) -> Converted:
        graph, names = traced.module.code, [op.name for op in on_host]
        weights = list(traced.module.state_dict().items())
        key = _digest(graph, tuple(traced.example.shape), weights, names, repr(tuple(steps)))
        path = folder / key
        if not path.is_file():
            result = convert(traced, maxima, steps, on_host)
            with write_beside(path) as fresh:
                fresh.write_bytes(pickle.dumps(result))
        kept: Converted = pickle.loads(path.read_bytes())  # noqa: S301 - written above
        return kept

    return to_onnx


class _ByContent(pickle.Pickler):
    """Pickles tensors by what they hold; otherwise equal ones would differ by their storages."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, Tensor):
            return NotImplemented
        content = obj.detach().reshape(-1).view(torch.uint8).numpy().tobytes()
        return tuple, ((str(obj.dtype), tuple(obj.shape), content),)


def _digest(*parts: Any) -> str:
    text = io.BytesIO()
    _ByContent(text).dump(parts)
    return hashlib.sha256(text.getvalue()).hexdigest()
