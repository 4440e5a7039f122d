"""Converting is most of an export: what was converted once in a test run is not converted again."""

import hashlib
import io
import pickle
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from filelock import FileLock
from torch import Tensor, fx, nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from pointcmt.files import write_beside
from pointcmt_export import exporter
from pointcmt_export.convert import to_onnx
from pointcmt_export.convert.trace import Traced

Write = Callable[[Traced, Mapping[str, fx.Node]], onnx.ModelProto]


def keep_conversions(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the exporter take from `folder`, and keep there, what all processes convert."""
    patch.setattr(exporter, "trace", _kept_traces(exporter.trace))
    patch.setattr(to_onnx, "write_calls", _kept_files(to_onnx.write_calls, folder))
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


def _kept_files(write: Write, folder: Path) -> Write:
    """Return `write_calls` with its results kept by the graph, its weights and what is seen."""

    def write_calls(traced: Traced, seen: Mapping[str, fx.Node]) -> onnx.ModelProto:
        graph, names = traced.module.code, [(name, node.name) for name, node in seen.items()]
        weights = list(traced.module.state_dict().items())
        path = folder / _digest(graph, tuple(traced.example.shape), weights, names)
        with FileLock(f"{path}.lock"):  # another process may be about to convert the same
            if not path.is_file():
                with write_beside(path) as fresh:
                    onnx.save(write(traced, seen), fresh)
        return onnx.load(path)

    return write_calls


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
