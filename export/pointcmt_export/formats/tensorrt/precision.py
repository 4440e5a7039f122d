"""The proof that an engine computes in the precision it was asked for."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from pointcmt_export.options import Precision
from pointcmt_export.verify import Check
from pointcmt_export.verify.check import decide

NUMBERS: dict[Precision, str] = {"fp32": "FLOAT", "fp16": "HALF"}  # TensorRT's names
HALF_WORDS = ("Half", "FP16", "fp16", "f16")
LOW_WORDS = (*HALF_WORDS, "TF32", "tf32", "BFloat16")
SMALL = 1024  # bytes; a shorter tensor may be found anywhere by chance


def precision_check(
    precision: Precision, products: Mapping[str, int], searches: int, inspected: str | None
) -> Check:
    """Check the type of every matrix product, in the typed network and in the built engine.

    The network is strongly typed, so that the builder may not change what it says.

    Args:
        precision: what was asked for.
        products: how many matrix products give each type.
        searches: neighbour searches among features, whose product is float32 always.
        inspected: what the engine's inspector says, or None where it needs a GPU.
    """
    wanted = NUMBERS[precision]
    others = {kind: count for kind, count in products.items() if kind != wanted}
    allowed = precision == "fp16" and others in ({}, {"FLOAT": searches})
    good = products.get(wanted, 0) > 0 and (allowed or not others)
    told = ", ".join(f"{count} {kind.lower()}" for kind, count in sorted(products.items()))
    faults = [] if good else [f"the matrix products are {told}, not {wanted.lower()}"]
    if inspected is not None:
        faults += _inspected_faults(precision, inspected)
    seen = "not inspected for want of a GPU that runs it" if inspected is None else "inspected"
    detail = "; ".join(faults) or f"matrix products: {told}; strongly typed; {seen}"
    return decide("precision", not faults, detail, {"products": dict(products)})


def _inspected_faults(precision: Precision, inspected: str) -> list[str]:
    if precision == "fp16" and not any(word in inspected for word in HALF_WORDS):
        return ["the engine's inspector shows no float16 layer"]
    found = [word for word in LOW_WORDS if word in inspected]
    if precision == "fp32" and found:
        return [f"the engine's inspector shows {found[0]} in a float32 engine"]
    return []


def size_check(plan: int, twin: int, numbers: int) -> Check:
    """Check that a float16 engine is smaller than the float32 engine of the same student.

    Halving the weights saves two bytes a number; at least half of that must show.

    Args:
        plan: bytes of the engine.
        twin: bytes of the float32 engine.
        numbers: how many numbers the weights are.
    """
    detail = f"{plan:,} bytes, the float32 engine has {twin:,} and the weights {numbers:,} numbers"
    return decide("size", twin - plan >= numbers, detail, {"bytes": plan, "float32_bytes": twin})


def stored_weights_check(plan: bytes, weights: Mapping[str, Tensor]) -> Check:
    """Check that the plan holds every weight byte for byte, in its precision.

    TensorRT-RTX keeps the numbers as they are until the engine meets its GPU, so that its plan
    proves both whose weights these are and of what type. It may pad rows, or join matrices that
    read one input; then each row or each column is there.
    """
    arrays = {name: tensor.detach().numpy() for name, tensor in weights.items()}
    large = {name: array for name, array in arrays.items() if array.nbytes >= SMALL}
    absent = [name for name, array in large.items() if not _is_stored(array, plan)]
    kinds = sorted({str(array.dtype) for array in large.values()})
    detail = (
        f"{len(absent)} of {len(large)} weights are not in the plan ({absent[0]})"
        if absent
        else f"{len(large)} weights lie in the plan byte for byte as {', '.join(kinds)}"
    )
    return decide("weights", not absent, detail, {"checked": len(large), "absent": absent})


def _is_stored(array: NDArray[Any], plan: bytes) -> bool:
    layouts = ([array], array, array.T) if array.ndim == 2 else ([array],)
    return any(all(part.tobytes() in plan for part in layout) for layout in layouts)
