"""Tracing a network with its index ops left whole."""

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from pointcmt.errors import InputError
from pointcmt_export.convert.simplify import simplify

OPS = ("farthest_point_sample", "ball_query", "knn")
BATCH, POINTS = 3, 37  # odd sizes, so that no dimension is taken for a constant


@dataclass(frozen=True)
class IndexOp:
    """A call of farthest point sampling, ball query or kNN.

    Attributes:
        name: unique in the graph, such as "ball_query_1"; counted for each op in order of calls.
        op: one of `OPS`.
        node: its node in the traced graph.
    """

    name: str
    op: str
    node: fx.Node


@dataclass(frozen=True)
class Traced:
    """A traced module.

    Attributes:
        module: computes (logits,) from points; weights keep their names.
        indices: its index ops, in order of calls.
        example: the points (B, N, C) it was traced with.
        min_points: the smallest N it accepts.
    """

    module: fx.GraphModule
    indices: tuple[IndexOp, ...]
    example: Tensor
    min_points: int

    @property
    def dynamic_shapes(self) -> dict[int, torch.export.Dim]:
        """The dimensions of `points` that are free."""
        return {
            0: torch.export.Dim("batch", min=1),
            1: torch.export.Dim("points", min=self.min_points),
        }


def op_name(target: object) -> str | None:
    """Return which of `OPS` a call target (of a node, of a dispatch) is, or None."""
    if isinstance(target, torch._ops.OpOverload) and target.namespace == "pointcmt":
        name = target._schema.name.split("::")[1]
        return name if name in OPS else None
    return None


def trace(module: nn.Module, channels: int, min_points: int) -> Traced:
    """Trace a module with dynamic batch and points.

    Args:
        module: maps points (B, N, channels) to logits (B, classes).
        channels: of a point.
        min_points: the smallest N.

    Raises:
        InputError: the module cannot be traced so.
    """
    generator = torch.Generator().manual_seed(0)
    example = torch.rand(BATCH, min_points + POINTS, channels, generator=generator)
    shell = Traced(fx.GraphModule({}, fx.Graph()), (), example, min_points)
    try:
        program = torch.export.export(
            module, (example,), dynamic_shapes=({**shell.dynamic_shapes},), strict=False
        )
    except Exception as error:  # torch.export raises whatever the traced code or its passes raise
        raise InputError(
            f"the student cannot be traced by torch.export: {_first(error)}"
        ) from error
    graph = _plain_graph(program)
    return Traced(graph, _index_ops(graph.graph), example, min_points)


def _plain_graph(program: torch.export.ExportedProgram) -> fx.GraphModule:
    traced = program.module(check_guards=False)
    traced.graph.set_codegen(fx.graph.CodeGen())
    output = next(node for node in traced.graph.nodes if node.op == "output")
    output.args = (tuple(torch.utils._pytree.tree_leaves(output.args)),)
    kept = {getattr(torch.ops.pointcmt, op) for op in OPS}
    return simplify(fx.GraphModule(traced, traced.graph), kept).eval()


def _index_ops(graph: fx.Graph) -> tuple[IndexOp, ...]:
    counts = dict.fromkeys(OPS, 0)
    found = []
    for node in graph.nodes:
        if op := op_name(node.target):
            found.append(IndexOp(f"{op}_{counts[op]}", op, node))
            counts[op] += 1
    return tuple(found)


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line[1:].strip() for line in lines if line.startswith("-")] or lines
    return f"{type(error).__name__}: {told[0]}" if told else type(error).__name__
