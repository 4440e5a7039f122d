"""The proof that an int8 graph holds the float32 graph's weights, rounded, and nothing else."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pointcmt_export.reduced.int8 import products
from pointcmt_export.verify.check import Check, decide

Tensors = dict[str, NDArray[Any]]
ROUNDED, SCALES = "_quantized", ("_quantized_scale", "_scale")
OTHERS = ("_scale", "_zero_point")  # how the names of what else a quantiser adds end
WIDEST = 64  # of a weight, so that sums of pairs of products with 255 stay below 2**15
SLACK = 1e-5  # of a scale: what float32 loses in dividing by it


def int8_check(made: onnx.ModelProto, full: onnx.ModelProto) -> Check:
    """Check that every weight is the float32 graph's, to half a step where it is rounded.

    Args:
        made: the int8 graph.
        full: the float32 graph, whose weights are proved to be the student's.
    """
    held, wanted = _tensors(made), _tensors(full)
    rounded = [name for name in wanted if f"{name}{ROUNDED}" in held]
    absent = [n for n in wanted if n not in rounded and not _same(held.get(n), wanted[n])]
    axes = {n.input[0]: a.i for n in made.graph.node for a in n.attribute if a.name == "axis"}
    changed = [
        name
        for name in rounded
        if not _is_rounded(held, name, wanted[name], axes.get(f"{name}{ROUNDED}", 0))
    ]
    known = {*wanted, *(f"{name}{ROUNDED}" for name in rounded)}
    extra = [n for n, a in held.items() if n not in known and not (_is_scale(n) and a.ndim < 2)]
    wide = [
        n for n in held if held[n].dtype == np.int8 and np.abs(held[n].astype(int)).max() > WIDEST
    ]
    heavy = len(products(full))
    faults = {
        "are not the float32 file's": absent + changed,
        "are nobody's": extra,
        "might overflow": wide,
    }
    told = [f"{len(names)} weights {what} ({names[0]})" for what, names in faults.items() if names]
    count = sum(held[f"{name}{ROUNDED}"].dtype == np.int8 for name in rounded)
    if count < heavy:
        told.append(f"{count} of {heavy} products are of int8")
    detail = "; ".join(told) or f"{heavy} products of int8, all weights the float32 file's, rounded"
    return decide("structure", not told, detail, {"int8_products": count, "rounded": rounded})


def _tensors(model: onnx.ModelProto) -> Tensors:
    return {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}


def _same(held: NDArray[Any] | None, wanted: NDArray[Any]) -> bool:
    return held is not None and np.array_equal(held, wanted)


def _is_rounded(held: Tensors, name: str, wanted: NDArray[Any], axis: int) -> bool:
    """Whether a tensor, of integers times a scale along an axis, is `wanted` to half a step."""
    steps = held[f"{name}{ROUNDED}"].astype(np.float64)
    scale = next(held[f"{name}{end}"] for end in SCALES if f"{name}{end}" in held)
    scale = scale.astype(np.float64)
    if steps.shape != wanted.shape:
        return False
    if scale.size > 1 and wanted.ndim == 2 and axis == 0:
        scale = scale[:, None]
    error = np.abs(steps * scale - wanted)
    return bool((error <= scale * (0.5 + SLACK)).all())


def _is_scale(name: str) -> bool:
    return name.endswith(OTHERS)
