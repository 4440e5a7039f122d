"""The winners that an exported file tells, beside the values of the student's own maxima."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pointcmt.models import Student
from pointcmt_export.convert.maxima import MAXIMA
from pointcmt_export.verify.check import Check, Thresholds, decide
from pointcmt_serve.engines import Device
from pointcmt_serve.engines.onnxruntime import OnnxSession
from pointcmt_serve.engines.session import Outputs
from pointcmt_serve.explain.maxima import Maxima

CLOSE = 1e-4  # how far below the maximum a winner may be, of the values' size
CLOSE_IN_FEATURES = 1e-2  # where no limit on single logits holds
NAME = "winners"


def winners_check(
    file: Path, student: Student, clouds: NDArray[np.float32], thresholds: Thresholds
) -> Check:
    """Look up in the student's own maxima the rows that, as the file tells, won.

    A row wins rightly where its value in the student is the maximum there, up to rounding. The
    values are those that the student reduces when it is run, which knows nothing of the export.

    Args:
        file: the ONNX file.
        student: what it was made of.
        clouds: (B, N, C).
        thresholds: the limits; the share of right winners must reach `argmax_agreement`.
    """
    session = OnnxSession(file, Device("cpu"), torch.get_num_threads())
    maxima = session.artefact.maxima
    if maxima is None or maxima.last is None:
        return Check(NAME, "not run", "the network has no maximum over the points of a cloud")
    telling = OnnxSession(file, Device("cpu"), torch.get_num_threads(), maxima.tensors)
    told = telling.run(clouds, indices=True)
    reduced = _Reduced(student, clouds)
    close = CLOSE if thresholds.logits_max is not None else CLOSE_IN_FEATURES
    right = total = 0
    for values in _joined(maxima, told):
        own = reduced.next(values.shape)
        if own is None:
            return decide(NAME, False, f"the student takes no maximum over {values.shape}")
        won = np.take_along_axis(own, values.argmax(axis=1)[:, None], axis=1)[:, 0]
        right += int((own.max(axis=1) - won <= close * max(1.0, float(np.abs(own).max()))).sum())
        total += won.size
    detail = f"{right} of {total} winners of {len(maxima.each)} maxima are the student's"
    figures = {"right": right, "winners": total}
    return decide(NAME, right >= thresholds.argmax_agreement * total, detail, figures)


def _joined(maxima: Maxima, told: Outputs) -> Iterator[NDArray[Any]]:
    """Yield the values of each maximum, (R, k, C), the parts of one joined."""
    parts: list[NDArray[Any]] = []
    for place, one in enumerate(maxima.each):
        parts.append(_rows(told.indices[one.values], one.axis))
        following = maxima.each[place + 1].index if place + 1 < len(maxima.each) else None
        if one.index is None or one.index != following:
            yield np.concatenate(parts, axis=2)
            parts = []


def _rows(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """Bring what is reduced over an axis to (R, k, C)."""
    moved = np.moveaxis(values, axis, -2)
    return moved.reshape(-1, *moved.shape[-2:])


class _Reduced(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Everything that a student takes a maximum of, in order; a few groups at a time perhaps.

    It may look for the places of a maximum with another one, over where values equal the first.
    """

    def __init__(self, student: Student, clouds: NDArray[np.float32]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._values: list[NDArray[Any]] = []
        self._places: Tensor | None = None
        with torch.inference_mode(), self:
            cast(nn.Module, student)(torch.from_numpy(clouds))
        self._coming = iter(self._values)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = {**dict(zip(("self", "dim"), args, strict=False)), **(kwargs or {})}
        if func is torch.ops.aten.eq.Tensor_out:
            self._places = given["out"]
        dims = given.get("dim")
        if func in MAXIMA and given["self"] is not self._places:
            axis = dims[0] if isinstance(dims, list | tuple) and len(dims) == 1 else dims
            if isinstance(axis, int) and given["self"].ndim > 2:
                self._values.append(_rows(given["self"].numpy().copy(), axis))
        return func(*args, **(kwargs or {}))

    def next(self, shape: tuple[int, ...]) -> NDArray[Any] | None:
        """Return the next values of this shape (R, k, C), or None where there are none."""
        parts: list[NDArray[Any]] = []
        for values in self._coming:
            if values.shape[1:] == shape[1:]:
                parts.append(values)
                if sum(map(len, parts)) >= shape[0]:
                    whole = np.concatenate(parts)
                    return whole if whole.shape == shape else None
        return None
