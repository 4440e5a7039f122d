"""What takes the place of the index ops: a call of an ONNX function, or an input of the graph."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx
import onnx.inliner
import torch
from torch import Tensor, fx
from torch.fx.experimental.symbolic_shapes import statically_known_true

from pointcmt_export.convert.index_ops import DOMAIN, OPSET, functions
from pointcmt_export.convert.trace import Traced

Attributes = Mapping[str, float | Sequence[int]]


def name_ops(traced: Traced, seen: Sequence[fx.Node]) -> fx.GraphModule:
    """Return the graph with its index ops as calls of ONNX functions.

    Args:
        traced: the traced module; it is not changed.
        seen: nodes of the traced module whose values become outputs as well.

    Returns:
        A module points -> (logits, *indices, *seen) that `torch.onnx.export` can write.
    """
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    output = cast(tuple[fx.Node, ...], graph.graph_copy(traced.module.graph, copies))
    for op in traced.indices:
        copies[op.node].target = _SYMBOLS[op.op]
    indices = [copies[op.node] for op in traced.indices]
    graph.output((*output, *indices, *(copies[node] for node in seen)))
    return fx.GraphModule(traced.module, graph).eval()


def define_ops(model: onnx.ModelProto, on_host: Sequence[str] = ()) -> onnx.ModelProto:
    """Return a graph without functions: standard operators, or inputs where the host computes.

    Args:
        model: an export of `name_ops`, whose indices have their names.
        on_host: the names of the indices that become inputs, in this order behind `points`.
    """
    values = {value.name: value for value in model.graph.output}
    model.graph.input.extend(values[name] for name in on_host)
    kept = [node for node in model.graph.node if not set(node.output) & set(on_host)]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    model.functions.extend(functions())
    model = onnx.inliner.inline_local_functions(model)
    del model.opset_import[1:]
    return model


def _farthest_point_sample(xyz: Tensor, m: int) -> Tensor:
    return _call("farthest_point_sample", (xyz,), {"m": [m]}, (xyz.shape[0], m))


def _ball_query(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    limit = float(np.square(np.float32(radius)))
    numbers: dict[str, float | Sequence[int]] = {"limit": limit, "k": [k]}
    name = "ball_query"
    if not statically_known_true(xyz.shape[1] >= k):  # top-k wants k numbers to choose from
        name, numbers["pads"] = "ball_query_padded", [0, 0, 0, 0, 0, k]
    return _call(name, (xyz, centers), numbers, (*centers.shape[:2], k))


def _knn(query: Tensor, points: Tensor, k: int) -> Tensor:
    channels = query.shape[2]
    name = f"knn_{channels}" if channels <= 3 else "knn_features"
    return _call(name, (query, points), {"k": [k]}, (*query.shape[:2], k))


def _call(name: str, inputs: Sequence[Tensor], numbers: Attributes, shape: Sequence[Any]) -> Tensor:
    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::{name}", inputs, {**numbers}, dtype=torch.int64, shape=shape, version=1
    )


_SYMBOLS: dict[str, Callable[..., Tensor]] = {
    "farthest_point_sample": _farthest_point_sample,
    "ball_query": _ball_query,
    "knn": _knn,
}
