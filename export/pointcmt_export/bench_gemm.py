"""The physical limit of a graph on a processor: its matrix products and nothing else."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt_export.graph_file import read_graph
from pointcmt_serve.sampling import host_inputs

Shape = tuple[int, ...]
Pair = tuple[Shape, Shape]


class Products:
    """Calls the matrix products of an exported graph, one after the other, by torch's BLAS.

    The operands are buffers of ones with the shapes that the graph's MatMul and Gemm nodes see for
    the same clouds; nothing is gathered, added or compared. No engine that computes the same
    products in float32 can be expected to be faster.
    """

    def __init__(self, file: Path, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._file = file
        self._operands: dict[Shape, list[tuple[Any, Any, Any]]] = {}

    def __call__(self, clouds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the products for clouds (B, N, 3) and return an empty array of logits."""
        import torch

        if clouds.shape not in self._operands:
            self._operands[clouds.shape] = _buffers(product_shapes(self._file, clouds))
        for left, right, out in self._operands[clouds.shape]:
            torch.matmul(left, right, out=out)
        return np.zeros((len(clouds), 0), dtype=np.float32)


def product_shapes(file: Path, clouds: NDArray[np.float32]) -> list[Pair]:
    """Return the operand shapes of every MatMul and Gemm of `file` when it sees `clouds`.

    The shapes are observed, not inferred: a copy of the graph reports them while it runs.
    """
    import onnx
    import onnxruntime

    model, artefact = read_graph(file)
    graph = model.graph
    nodes = [node for node in graph.node if node.op_type in ("MatMul", "Gemm")]
    del graph.output[:]
    for number, node in enumerate(nodes):
        for side in (0, 1):
            name = f"shape.{number}.{side}"
            graph.node.append(onnx.helper.make_node("Shape", [node.input[side]], [name]))
            graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
            graph.output[-1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feeds = {"points": clouds, **host_inputs(artefact.steps, clouds)}
    shapes = [tuple(int(n) for n in shape) for shape in session.run(None, feeds)]
    return [
        (_turned(left, node, "transA"), _turned(right, node, "transB"))
        for node, left, right in zip(nodes, shapes[::2], shapes[1::2], strict=True)
    ]


def _turned(shape: Shape, node: Any, attribute: str) -> Shape:
    turned = any(a.name == attribute and a.i for a in node.attribute)
    return shape[::-1] if turned else shape


def flops(pairs: list[Pair]) -> int:
    """Return the floating point operations of the products: two a multiply-add."""
    return sum(2 * prod(_result(left, right)) * left[-1] for left, right in pairs)


def _result(left: Shape, right: Shape) -> Shape:
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    return (*batch, left[-2], right[-1])


def _buffers(pairs: list[Pair]) -> list[tuple[Any, Any, Any]]:
    """Operands and results as views of two buffers, so that memory stays that of the largest."""
    import torch

    flat = [_flat(left, right) for left, right in pairs]
    inputs = torch.ones(max(prod(left) for left, _ in flat))
    outputs = torch.empty(max(prod(_result(*pair)) for pair in flat))
    return [
        (
            inputs[: prod(left)].view(left),
            torch.ones(right),
            outputs[: prod(_result(left, right))].view(_result(left, right)),
        )
        for left, right in flat
    ]


def _flat(left: Shape, right: Shape) -> Pair:
    """A weight's product as one of two dimensions, which every BLAS computes in one call."""
    return ((prod(left[:-1]), left[-1]), right) if len(right) == 2 else (left, right)
