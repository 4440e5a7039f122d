"""The physical limit of a graph on a processor: its matrix products and nothing else."""

import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.libraries import LIBRARIES, Call, Pair, Shape, result_shape
from pointcmt_export.onnx_file import read_onnx
from pointcmt_serve.host_indices import host_indices


class Products:
    """Calls the matrix products of an exported graph, one after the other, and nothing else.

    The operands are buffers of ones with the shapes that the graph's MatMul and Gemm nodes see for
    the same clouds; nothing is gathered, added or compared. At each shape of clouds the library
    (torch, numpy, onnxruntime, or OpenVINO where installed) that is fastest at the whole sequence
    is kept, so that no engine that computes the same products in that arithmetic should be faster.
    """

    def __init__(
        self, file: Path, threads: int, libraries: tuple[Callable[..., Call], ...] = LIBRARIES
    ) -> None:
        self._file, self._threads, self._libraries = file, threads, libraries
        self._calls: dict[Shape, list[Call]] = {}

    def __call__(self, clouds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the products for clouds (B, N, 3) and return an empty array of logits."""
        if clouds.shape not in self._calls:
            pairs = product_shapes(self._file, clouds)
            self._calls[clouds.shape] = fastest(pairs, self._threads, self._libraries)
        for call in self._calls[clouds.shape]:
            call()
        return np.zeros((len(clouds), 0), dtype=np.float32)


def fastest(
    pairs: list[Pair], threads: int, libraries: tuple[Callable[..., Call], ...] = LIBRARIES
) -> list[Call]:
    """Return calls that compute products of these shapes, by the library that is fastest at all."""
    flat = [_flat(left, right) for left, right in pairs]
    largest = [max(prod(s) for s in shapes) for shapes in zip(*map(_operands, flat), strict=True)]
    # Views of three buffers, so that memory stays that of the largest product.
    buffers = [np.ones(size, np.float32) for size in largest]
    best: tuple[float, list[Call]] = (np.inf, [])
    for library in libraries:
        try:
            distinct = {
                pair: library(*_views(buffers, _operands(pair)), threads)
                for pair in dict.fromkeys(flat)
            }
        except ImportError:
            continue
        calls = [distinct[pair] for pair in flat]
        best = min(best, (_seconds(calls), calls), key=lambda timed: timed[0])
    return best[1]


def _operands(pair: Pair) -> tuple[Shape, Shape, Shape]:
    return (*pair, result_shape(*pair))


def _views(buffers: list[NDArray[np.float32]], shapes: tuple[Shape, ...]) -> list[Any]:
    return [b[: prod(s)].reshape(s) for b, s in zip(buffers, shapes, strict=True)]


def _seconds(calls: list[Call]) -> float:
    """Time the calls in their order, the second time they are made."""
    for _ in range(2):
        start = time.perf_counter()
        for call in calls:
            call()
    return time.perf_counter() - start


def product_shapes(file: Path, clouds: NDArray[np.float32]) -> list[Pair]:
    """Return the operand shapes of every MatMul and Gemm of `file` when it sees `clouds`.

    The shapes are observed, not inferred: a copy of the graph reports them while it runs.
    """
    import onnx
    import onnxruntime

    model, artefact = read_onnx(file)
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
    feeds = {"points": clouds, **host_indices(artefact.steps, clouds)}
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
    return sum(2 * prod(result_shape(left, right)) * left[-1] for left, right in pairs)


def _flat(left: Shape, right: Shape) -> Pair:
    """A weight's product as one of two dimensions, which every BLAS computes in one call."""
    return ((prod(left[:-1]), left[-1]), right) if len(right) == 2 else (left, right)
