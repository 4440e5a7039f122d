"""What a bfloat16 graph computes, on processors without bfloat16 too.

A product of bfloat16 numbers is summed in float32 and rounded once, by every processor that has
such products. In float32 the same comes of rounding the result of each operation to bfloat16.
"""

import onnx
from onnx import TensorProto, helper, numpy_helper

WIDE, NARROW = TensorProto.FLOAT, TensorProto.BFLOAT16
EXACT = (  # operators that choose or move numbers, and make none that needs rounding
    *("Concat", "Expand", "Gather", "Identity", "Max", "ReduceMax", "Relu", "Reshape", "Slice"),
    *("Split", "Squeeze", "Transpose", "Unsqueeze"),
)


def emulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph in float32 that gives what a graph in bfloat16 gives.

    Args:
        model: the graph; tensors in float32 and integers stay as they are.
    """
    kinds = _kinds(model)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        _widen(tensor)
    nodes = list(copy.graph.node)
    del copy.graph.node[:], copy.graph.value_info[:]
    for node in nodes:
        for attribute in node.attribute:
            _widen(attribute.t)
        narrow = [name for name in node.output if kinds.get(name) == NARROW]
        if not narrow or node.op_type in EXACT or node.op_type == "Constant":
            copy.graph.node.append(node)
            continue
        copy.graph.node.extend(_rounded(node, narrow))
    return copy


def _kinds(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of every tensor of a graph."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == NARROW:
        values = numpy_helper.to_array(tensor).astype("float32")
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _rounded(node: onnx.NodeProto, narrow: list[str]) -> list[onnx.NodeProto]:
    """Return a node whose results are rounded to bfloat16 and held in float32."""
    made = onnx.NodeProto()
    made.CopyFrom(node)
    after = []
    for place, name in enumerate(node.output):
        if name in narrow:
            made.output[place] = f"{name}.wide"
            after += [
                helper.make_node("Cast", [f"{name}.wide"], [f"{name}.narrow"], to=NARROW),
                helper.make_node("Cast", [f"{name}.narrow"], [name], to=WIDE),
            ]
    return [made, *after]
