"""Maxima in the arithmetic of the network.

torch's exporter widens what a maximum reads to float32 and narrows the result again. A maximum
makes no new number, so both steps change nothing but the time, of which the first takes most.
"""

import onnx_ir
from onnxscript.rewriter import RewriteRule, rewrite


def narrow_maxima(model: onnx_ir.Model) -> onnx_ir.Model:
    """Return a graph, which is used up, whose maxima read their values as these are."""
    narrowed: onnx_ir.Model = rewrite(model, [RewriteRule(_widened, _narrow, _narrowed_again)])
    return narrowed


def _widened(op, values, axes, keepdims, wide, narrow):  # type: ignore[no-untyped-def]
    maximum = op.ReduceMax(op.Cast(values, to=wide), axes, keepdims=keepdims)
    return op.Cast(maximum, to=narrow)


def _narrow(op, values, axes, keepdims, **_):  # type: ignore[no-untyped-def]
    return op.ReduceMax(values, axes, keepdims=keepdims)


def _narrowed_again(_, values, wide, narrow, **__):  # type: ignore[no-untyped-def]
    kinds = (onnx_ir.DataType.FLOAT16, onnx_ir.DataType.BFLOAT16)
    return values.dtype in kinds and narrow.as_int() == values.dtype and wide.as_int() == 1
