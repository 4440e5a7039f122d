"""What takes the place of the index ops: expressions in the graph, or inputs of it."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import fx

from pointcmt_export.convert import index_ops
from pointcmt_export.convert.trace import IndexOp, Traced

EXPRESSIONS: dict[str, Callable[..., Any]] = {
    "farthest_point_sample": index_ops.farthest_point_sample,
    "ball_query": index_ops.ball_query,
    "knn": index_ops.knn,
}


def replace_ops(
    traced: Traced, on_host: Sequence[IndexOp] = (), seen: Sequence[fx.Node] = ()
) -> fx.GraphModule:
    """Return the graph with its index ops as expressions, and their results as further outputs.

    Args:
        traced: the traced module; it is not changed.
        on_host: ops that become inputs instead, in this order behind `points`.
        seen: nodes of the traced module whose values become outputs as well.

    Returns:
        A module (points, *on_host indices) -> (logits, *indices of the ops that remain, *seen).
    """
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    output = cast(tuple[fx.Node, ...], graph.graph_copy(traced.module.graph, copies))
    points = next(node for node in graph.nodes if node.op == "placeholder")
    _into_inputs(graph, points, [(op.name, copies[op.node]) for op in on_host])
    remaining = [copies[op.node] for op in traced.indices if op not in on_host]
    for op in traced.indices:
        if op not in on_host:
            copies[op.node].target = EXPRESSIONS[op.op]
    graph.output((*output, *remaining, *(copies[node] for node in seen)))
    module = fx.GraphModule(traced.module, graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module.eval()


def _into_inputs(graph: fx.Graph, points: fx.Node, ops: Sequence[tuple[str, fx.Node]]) -> None:
    """Turn index ops into inputs behind `points`, in this order."""
    place = points
    for name, node in ops:
        with graph.inserting_after(place):
            place = graph.placeholder(name)
        node.replace_all_uses_with(place)
        graph.erase_node(node)
