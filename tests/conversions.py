"""Converting is most of an export: what was converted once in a test run is not converted again."""

import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from pointcmt.files import write_beside
from pointcmt_export.convert.host_steps import HostStep
from pointcmt_export.convert.maxima import Maxima
from pointcmt_export.convert.to_onnx import Converted
from pointcmt_export.convert.trace import IndexOp, Traced


def keeping(convert: Callable[..., Converted], folder: Path) -> Callable[..., Converted]:
    """Return `to_onnx` with its results kept by the graph, its weights and the host's steps."""

    def to_onnx(
        traced: Traced,
        maxima: Maxima,
        steps: Sequence[HostStep] = (),
        on_host: Sequence[IndexOp] = (),
    ) -> Converted:
        names = [op.name for op in on_host]
        path = folder / _key(traced, repr((tuple(steps), names, traced.min_points)))
        if not path.is_file():
            result = convert(traced, maxima, steps, on_host)
            with write_beside(path) as fresh:
                fresh.write_bytes(pickle.dumps(result))
        kept: Converted = pickle.loads(path.read_bytes())  # noqa: S301 - written above
        return kept

    return to_onnx


def _key(traced: Traced, rest: str) -> str:
    weights = io.BytesIO()
    torch.save(traced.module.state_dict(), weights)
    text = f"{traced.module.code}{tuple(traced.example.shape)}{rest}"
    return hashlib.sha256(text.encode() + weights.getvalue()).hexdigest()
