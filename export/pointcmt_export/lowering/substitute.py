"""What takes the place of the index ops: expressions in the graph, or inputs of it."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import fx

from pointcmt_export.lowering import expressions
from pointcmt_export.lowering.capture import Captured, IndexOp

EXPRESSIONS: dict[str, Callable[..., Any]] = {
    "farthest_point_sample": expressions.farthest_point_sample,
    "ball_query": expressions.ball_query,
    "knn": expressions.knn,
}


def expand_ops(captured: Captured, lifted: Sequence[IndexOp] = ()) -> fx.GraphModule:
    """Return the graph with its index ops as expressions, and their results as further outputs.

    Args:
        captured: the traced module; it is not changed.
        lifted: ops that become inputs instead, in this order behind `points`.

    Returns:
        A module (points, *lifted indices) -> (logits, *indices of the ops that remain).
    """
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    output = cast(tuple[fx.Node, ...], graph.graph_copy(captured.graph.graph, copies))
    points = next(node for node in graph.nodes if node.op == "placeholder")
    lift_ops(graph, points, [(op.name, copies[op.node]) for op in lifted])
    remaining = [copies[op.node] for op in captured.indices if op not in lifted]
    for op in captured.indices:
        if op not in lifted:
            copies[op.node].target = EXPRESSIONS[op.op]
    graph.output((*output, *remaining))
    module = fx.GraphModule(captured.graph, graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module.eval()


def lift_ops(graph: fx.Graph, points: fx.Node, ops: Sequence[tuple[str, fx.Node]]) -> None:
    """Turn index ops into inputs behind `points`, in this order."""
    place = points
    for name, node in ops:
        with graph.inserting_after(place):
            place = graph.placeholder(name)
        node.replace_all_uses_with(place)
        graph.erase_node(node)
