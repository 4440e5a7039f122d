"""Ops of the native library inside an OpenVINO graph.

OpenVINO has no op that searches neighbours or takes the maximum of gathered rows. An exported graph
spells them out, with all distances of a cloud and all gathered rows in memory; the native library
needs neither.
"""

from typing import Any

import numpy as np
from openvino import Model, Op, PartialShape, Type

from pointcmt import native

_SEARCH = "knn_"  # how the names of an exported graph's neighbour indices begin
_SUMS = ("Add", "Subtract", "Multiply")


class NativeOp(Op):  # type: ignore[misc]
    """An op with two inputs and one output.

    OpenVINO copies an op by calling its class with the inputs alone, so what else the op depends on
    belongs to the class: see `specialised`.
    """

    kind: Any
    k: int
    threads: int

    def __init__(self, inputs: Any = None) -> None:
        super().__init__(self)
        if inputs is not None:
            self.set_arguments(inputs)
            self.constructor_validate_and_infer_types()

    def validate_and_infer_types(self) -> None:
        """Tell the type and shape of the output."""
        shapes = [self.get_input_partial_shape(i) for i in (0, 1)]
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

    def result_shape(self, first: Any, second: Any) -> list[Any]:
        """The output's shape from those of the inputs, of which parts may be unknown."""
        raise NotImplementedError

    def compute(self, first: Any, second: Any) -> Any:
        """The output's values from those of the inputs."""
        raise NotImplementedError


class Neighbours(NativeOp):
    """`native.knn`: query (B, M, C) and points (B, N, C) to (B, M, k)."""

    kind = Type.i64

    def result_shape(self, query: Any, points: Any) -> list[Any]:
        """See `NativeOp`."""
        return [query[0], query[1], self.k]

    def compute(self, query: Any, points: Any) -> Any:
        """See `NativeOp`."""
        return native.knn(query, points, self.k, self.threads, check_finite=False)


class GatheredMaximum(NativeOp):
    """`native.gathered_maximum`: values (R, C) and index (G * k) to (G, C)."""

    kind = Type.f32

    def result_shape(self, values: Any, index: Any) -> list[Any]:
        """See `NativeOp`."""
        return [index[0].get_length() // self.k if index[0].is_static else -1, values[1]]

    def compute(self, values: Any, index: Any) -> Any:
        """See `NativeOp`."""
        index = index.reshape(-1, self.k)
        return native.gathered_maximum(values, index, self.threads, check_finite=False)


def specialised(op: type[NativeOp], k: int, threads: int) -> Any:
    """Return the class of an op with these numbers."""
    return type(f"{op.__name__}{k}", (op,), {"k": k, "threads": threads})


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
    points = transposed.get_node().input_value(0)
    search = specialised(Neighbours, int(top.input_value(1).get_node().data), threads)
    top.output(1).replace(search([query, points]).output(0))


def _replace_maximum(node: Any, threads: int) -> None:
    """Replace the maximum over k of gathered rows (G * k, C), seen as (G, k, C)."""
    view = node.input_value(0).get_node()
    if view.get_type_name() != "Reshape" or node.get_attributes()["keep_dims"]:
        return
    gather = view.input_value(0).get_node()
    if gather.get_type_name() != "Gather":
        return
    values, index, gather_axis = gather.input_values()
    shapes = [v.get_partial_shape() for v in (node.input_value(0), values, index)]
    axes = [np.ravel(c.get_node().data).tolist() for c in (node.input_value(1), gather_axis)]
    if [len(shape) for shape in shapes] != [3, 2, 1] or axes != [[1], [0]]:
        return
    if shapes[0][1].is_static:
        maximum = specialised(GatheredMaximum, shapes[0][1].get_length(), threads)
        node.output(0).replace(maximum([values, index]).output(0))
