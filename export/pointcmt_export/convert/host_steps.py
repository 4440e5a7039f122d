"""Which index ops a host can compute before the graph runs, and from what."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from pointcmt_export.convert.trace import IndexOp, Traced

XYZ = "points"


@dataclass(frozen=True)
class HostStep:
    """One input of a host-sampled graph and how to compute it.

    A *coordinate set* is "points", the xyz of the cloud, or the name of an earlier
    farthest-point step, which stands for the points that step chose from its own set.

    Attributes:
        input: the graph's input of indices, int64.
        op: "farthest_point_sample", "ball_query" or "knn".
        sets: the coordinate set of each tensor argument, by the argument's name in `pointcmt.ops`.
        numbers: the op's other arguments: m; radius and k; or k.
    """

    input: str
    op: str
    sets: dict[str, str]
    numbers: dict[str, float | int]

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in the artefact's metadata."""
        return {"input": self.input, "op": self.op, **self.sets, **self.numbers}


def host_steps(traced: Traced) -> tuple[list[HostStep], list[IndexOp]]:
    """Find the index ops that depend on coordinates alone.

    They are recognised by running the graph on its example and comparing what each op reads with
    the coordinates known so far. Ops that read learnt features (DGCNN's later layers) stay in.

    Returns:
        The steps, and the ops they stand for, in the same order.
    """
    watcher = _Watcher(traced)
    with torch.no_grad():
        watcher.run(traced.example)
    return watcher.steps, watcher.on_host


class _Watcher(fx.Interpreter):
    """Runs the graph and notes every index op that reads known coordinates."""

    def __init__(self, traced: Traced) -> None:
        super().__init__(traced.module)
        self.ops = {op.node: op for op in traced.indices}
        self.known: dict[str, Tensor] = {XYZ: traced.example[..., :3].float()}
        self.steps: list[HostStep] = []
        self.on_host: list[IndexOp] = []

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n in self.ops:
            self._note(self.ops[n], n, result)
        return result

    def _note(self, op: IndexOp, node: fx.Node, result: Tensor) -> None:
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        names = [argument.name for argument in node.target._schema.arguments]  # type: ignore[union-attr]
        values = {**dict(zip(names, args, strict=False)), **kwargs}
        sets = {k: self._set_of(v) for k, v in values.items() if isinstance(v, Tensor)}
        numbers = {k: v for k, v in values.items() if not isinstance(v, Tensor)}
        found = {k: v for k, v in sets.items() if v is not None}
        computed = any(isinstance(self.env.get(a), int) for a in node.all_input_nodes)
        if computed or len(found) < len(sets):  # a number that follows N is not the host's to know
            return
        self.steps.append(HostStep(op.name, op.op, found, numbers))
        self.on_host.append(op)
        if op.op == "farthest_point_sample":
            source = self.known[found["xyz"]]
            chosen = source.gather(1, result[..., None].expand(-1, -1, 3))  # (B, M, 3)
            self.known[op.name] = chosen

    def _set_of(self, value: Tensor) -> str | None:
        for name, coordinates in self.known.items():
            if value.shape == coordinates.shape and torch.equal(value, coordinates):
                return name
        return None
