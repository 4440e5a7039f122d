"""The maxima of a network over points, kept under their names so that a server can tell who won."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from pointcmt_export.convert.host_steps import XYZ, HostStep
from pointcmt_export.convert.trace import Traced, op_name

MAXIMA = (torch.ops.aten.amax.default, torch.ops.aten.max.dim)
FINISHING = (  # what commutes with a maximum and may clamp it: a bias and an activation
    torch.ops.aten.add.Tensor,
    torch.ops.aten.relu.default,
    torch.ops.aten.leaky_relu.default,
)
SAMPLING = "farthest_point_sample"
ROLES = {
    "ball_query": ("xyz", "centers"),
    "knn": ("points", "query"),
}  # of an op's sets: rows, centres


@dataclass(frozen=True)
class Maximum:
    """A maximum over points, of a whole cloud or of groups.

    Attributes:
        values: the node that is reduced, (B, n, C) of a whole cloud or (B * M, k, C) of groups;
            channels may come before the rows.
        kept: the node of the maxima behind bias and activation, (..., C): a channel that is zero
            there was clamped, so that nobody's win counts.
        axis: the one that is reduced.
        index: the node of the indices (B, M, k) that chose the rows of each group; None for a whole
            cloud.
        rows: the coordinate set (see `HostStep`) that the rows belong to.
        centres: the coordinate set of the groups' centres; None for a whole cloud.
    """

    values: fx.Node
    kept: fx.Node
    axis: int
    index: fx.Node | None
    rows: str
    centres: str | None


@dataclass(frozen=True)
class Maxima:
    """All maxima of a network.

    Attributes:
        each: the maxima, in order.
        samples: which set each farthest-point step samples.
        ops: the names of the index ops, which the graph knows already.
    """

    each: tuple[Maximum, ...]
    samples: dict[str, str]
    ops: dict[fx.Node, str]

    def named(self) -> dict[str, fx.Node]:
        """Return the nodes to keep beside the index ops, each once, by their names to be."""
        return {name: node for node, name in self._names().items() if node not in self.ops}

    def _names(self) -> dict[fx.Node, str]:
        names = dict(self.ops)
        for number, one in enumerate(self.each):
            names.setdefault(one.values, f"maximum_of_{number}")
            names.setdefault(one.kept, f"maximum_{number}")
            if one.index is not None:
                names.setdefault(one.index, f"rows_of_{number}")
        return names

    def to_json(self) -> dict[str, Any]:
        """Return the maxima as they stand in the artefact's metadata."""
        names = self._names()
        each = [
            {
                "values": names[one.values],
                "kept": names[one.kept],
                "axis": one.axis,
                "index": None if one.index is None else names[one.index],
                "rows": one.rows,
                "centres": one.centres,
            }
            for one in self.each
        ]
        return {"maxima": each, "samples": self.samples}


def find_maxima(traced: Traced, steps: Sequence[HostStep]) -> Maxima:
    """Find the maxima whose rows are known to be points of the cloud or sampled ones.

    A maximum over anything else, such as neighbours among features, is passed over.

    Args:
        traced: the network.
        steps: its index ops that read coordinates, see `host_steps`.
    """
    samples = {s.input: s.sets["xyz"] for s in steps if s.op == "farthest_point_sample"}
    ops = {op.node: op.name for op in traced.indices}
    return Maxima(tuple(_Finder(traced, steps).found()), samples, ops)


class _Finder(fx.Interpreter):
    """Runs the graph and compares the shapes of what is reduced with those of known sets."""

    def __init__(self, traced: Traced, steps: Sequence[HostStep]) -> None:
        super().__init__(traced.module)
        self.graph = traced.module.graph
        self.example = traced.example
        named = {step.input: step for step in steps}
        self.ops = {op.node: named.get(op.name) for op in traced.indices}
        self.shapes: dict[fx.Node, torch.Size] = {}
        self.whole: dict[fx.Node, torch.Size] = {}  # of indices (B, M, k)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n] = result.shape
            if result.dtype == torch.int64 and result.ndim == 3:
                self.whole[n] = result.shape
        return result

    def found(self) -> Iterator[Maximum]:
        with torch.no_grad():
            self.run(self.example)
        for node in self.graph.nodes:
            if node.target in MAXIMA and (one := self._maximum(node)):
                yield one

    def _maximum(self, node: fx.Node) -> Maximum | None:
        values, axis = node.args[0], node.args[1]
        axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
        if not isinstance(values, fx.Node) or not isinstance(axis, int):
            return None
        shape = self.shapes[values]
        axis %= len(shape)
        kept, index = _finished(node), self._index(values, shape, axis)
        if index is None:
            rows = self._set_of(shape, axis)
            return None if rows is None else Maximum(values, kept, axis, None, rows, None)
        step = self._step(index)
        if step is None:
            return None
        rows, centres = (step.sets[role] for role in ROLES[step.op])
        return Maximum(values, kept, axis, index, rows, centres)

    def _index(self, values: fx.Node, shape: torch.Size, axis: int) -> fx.Node | None:
        """Return the indices (B, M, k) behind groups (B * M, k, C) or (B, M, k, C)."""
        before = _ancestors(values)
        for node, (batch, groups, k) in reversed(self.whole.items()):
            fits = shape[:-1] in ((batch, groups, k), (batch * groups, k))
            if node in before and axis == len(shape) - 2 and fits:
                return node
        return None

    def _step(self, index: fx.Node) -> HostStep | None:
        """Return the step of the search that made the indices."""
        before = _ancestors(index) | {index}
        searches = [op for op in self.ops if op in before and op_name(op.target) in ROLES]
        return self.ops[searches[-1]] if searches else None

    def _set_of(self, shape: torch.Size, axis: int) -> str | None:
        """Return the set that the reduced rows of (B, n, C) or (B, C, n) are."""
        sizes = {XYZ: self.example.shape[1]}
        for op, step in self.ops.items():
            if step is not None and step.op == SAMPLING:
                sizes[step.input] = self.shapes[op][1]
        if len(shape) != 3 or axis == 0 or shape[0] != len(self.example):
            return None
        return next((name for name, n in reversed(sizes.items()) if n == shape[axis]), None)


def _ancestors(node: fx.Node) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        fresh = set(waiting.pop().all_input_nodes) - found
        found |= fresh
        waiting += fresh
    return found


def _finished(node: fx.Node) -> fx.Node:
    """Follow a maximum through bias and activation, as long as nothing else reads it."""
    if node.target == torch.ops.aten.max.dim:  # (values, places)
        node = next(user for user in node.users if user.args[1] == 0)
    while len(node.users) == 1 and next(iter(node.users)).target in FINISHING:
        node = next(iter(node.users))
    return node
