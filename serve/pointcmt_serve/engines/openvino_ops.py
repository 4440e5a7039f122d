"""Ops of the native library inside an OpenVINO graph.

OpenVINO has no op that searches neighbours or takes the maximum of gathered rows. An exported graph
spells them out, with all distances of a cloud and all gathered rows in memory; the native library
needs neither.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from openvino import Model, Op, PartialShape, Type
from openvino.opset15 import convert

from pointcmt import native

_SEARCH = "knn_"  # how the names of an exported graph's neighbour indices begin
_SUMS = ("Add", "Subtract", "Multiply")


class NativeOp(Op):  # type: ignore[misc]
    """An op with two inputs and one output.

    OpenVINO copies an op by calling its class with the inputs alone, so all that the op depends on
    belongs to its class: see `neighbours` and `gathered_maximum`.

    Attributes:
        kind: the element type of the output.
        result_shape: gives the shape of the output from those of the inputs; parts of a shape may
            be unknown.
        compute: gives the output for the inputs.
    """

    kind: Any
    result_shape: Callable[[Any, Any], list[Any]]
    compute: Callable[[Any, Any], Any]

    def __init__(self, inputs: Any = None) -> None:
        super().__init__(self)
        if inputs is not None:
            self.set_arguments(inputs)
            self.constructor_validate_and_infer_types()

    def validate_and_infer_types(self) -> None:
        """Tell the type and shape of the output."""
        shapes = (self.get_input_partial_shape(i) for i in (0, 1))
        self.set_output_type(0, self.kind, PartialShape(self.result_shape(*shapes)))

    def has_evaluate(self) -> bool:
        """Say that the op computes itself."""
        return True

    def evaluate(self, outputs: Any, inputs: Any) -> bool:
        """Compute the output."""
        result = self.compute(*(tensor.data for tensor in inputs))
        outputs[0].shape = result.shape
        outputs[0].data[...] = result
        return True


def neighbours(k: int, threads: int) -> type[NativeOp]:
    """`native.knn` as an op: query (B, M, C) and points (B, N, C) to indices (B, M, k)."""

    class Neighbours(NativeOp):
        kind = Type.i64

        @staticmethod
        def result_shape(query: Any, points: Any) -> list[Any]:
            return [query[0], query[1], k]

        @staticmethod
        def compute(query: Any, points: Any) -> Any:
            return native.knn(query, points, k, threads, check_finite=False)

    return Neighbours


def gathered_maximum(k: int, threads: int) -> type[NativeOp]:
    """`native.gathered_maximum` as an op: values (R, C) and index (G * k) to (G, C)."""

    class GatheredMaximum(NativeOp):
        kind = Type.f32

        @staticmethod
        def result_shape(values: Any, index: Any) -> list[Any]:
            return [index[0].get_length() // k if index[0].is_static else -1, values[1]]

        @staticmethod
        def compute(values: Any, index: Any) -> Any:
            rows = index.reshape(-1, k)
            return native.gathered_maximum(values, rows, threads, check_finite=False)

    return GatheredMaximum


def use_native_ops(model: Model, threads: int) -> None:
    """Replace what the native library computes faster in a graph that OpenVINO has read.

    Args:
        model: the graph; it is changed.
        threads: of the native library.
    """
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "TopK" and any(n.startswith(_SEARCH) for n in node.output(1).get_names()):
            _replace_search(node, threads)
        elif kind == "ReduceMax":
            _replace_maximum(node, threads)
    model.validate_nodes_and_infer_types()


def _replace_search(top: Any, threads: int) -> None:
    """Replace the k least of |q|^2 - 2 q p^T + |p|^2 (B, M, N)."""
    node = top.input_value(0).get_node()
    while node.get_type_name() in _SUMS:
        parents = [value.get_node() for value in node.input_values()]
        node = next((p for p in parents if p.get_type_name() in (*_SUMS, "MatMul")), parents[0])
    if node.get_type_name() != "MatMul":
        return  # distances in space, summed axis by axis
    query, transposed = node.input_values()
    if transposed.get_node().get_type_name() != "Transpose":
        return
    points = transposed.get_node().input_value(0)
    search = neighbours(int(top.input_value(1).get_node().data), threads)
    top.output(1).replace(search([query, points]).output(0))


def _replace_maximum(node: Any, threads: int) -> None:
    """Replace the maximum over k of gathered rows (G * k, C), seen as (G, k, C)."""
    view = node.input_value(0).get_node()
    if view.get_type_name() != "Reshape" or node.get_attributes()["keep_dims"]:
        return
    gather = view.input_value(0).get_node()
    kind = gather.get_element_type()
    if gather.get_type_name() != "Gather" or kind not in (Type.f32, Type.bf16):
        return
    values, index, gather_axis = gather.input_values()
    shapes = [v.get_partial_shape() for v in (node.input_value(0), values, index)]
    axes = [np.ravel(c.get_node().data).tolist() for c in (node.input_value(1), gather_axis)]
    if [len(shape) for shape in shapes] != [3, 2, 1] or axes != [[1], [0]]:
        return
    if shapes[0][1].is_static:
        maximum = gathered_maximum(shapes[0][1].get_length(), threads)
        best = maximum([convert(values, Type.f32).output(0), index]).output(0)
        node.output(0).replace(convert(best, kind).output(0))
