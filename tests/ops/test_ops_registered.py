from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pointcmt import ops

X, Y = torch.rand(2, 3, 40, 3, generator=torch.Generator().manual_seed(0))
CALLS: dict[str, tuple[Any, ...]] = {
    "farthest_point_sample": (X, 8),
    "ball_query": (X, Y, 0.3, 5),
    "knn": (X, Y, 5),
    "emd_matching": (X, Y),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("grad", [False, True])
def test_opcheck_passes(name: str, grad: bool) -> None:
    inputs = [a.clone().requires_grad_(grad) if isinstance(a, Tensor) else a for a in CALLS[name]]
    torch.library.opcheck(getattr(torch.ops.pointcmt, name).default, tuple(inputs))


@pytest.mark.parametrize("name", CALLS)
def test_fake_tensors_have_the_shape_of_the_result(name: str) -> None:
    op: Callable[..., Tensor] = getattr(ops, name)
    fake = [a.to("meta") if isinstance(a, Tensor) else a for a in CALLS[name]]
    assert op(*fake).shape == op(*CALLS[name]).shape
    assert op(*fake).dtype == torch.int64


class Everything(nn.Module):
    """Samples, groups, matches: one graph of all ops."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        centers = ops.farthest_point_sample(x, 8)  # (B, 8)
        sampled = x.gather(1, centers[..., None].expand(-1, -1, 3))
        groups = ops.ball_query(x, sampled, 0.3, 4)  # (B, 8, 4)
        near = ops.knn(sampled, y, 3)  # (B, 8, 3)
        distance = ops.earth_movers_distance(x, y)  # (B,)
        return distance + groups.sum((1, 2)) + near.sum((1, 2))


def test_the_ops_compile_whole_with_dynamic_shapes() -> None:
    compiled = torch.compile(Everything(), fullgraph=True, dynamic=True, backend="aot_eager")
    for points in (40, 33):
        x = X[:, :points].clone().requires_grad_()
        y = Y[:, :points]
        result = compiled(x, y)
        torch.testing.assert_close(result, Everything()(x, y))
        result.sum().backward()
        compiled_grad, x.grad = x.grad, None
        Everything()(x, y).sum().backward()
        torch.testing.assert_close(compiled_grad, x.grad)


def test_the_ops_export_with_dynamic_batch_and_points() -> None:
    batch, points = torch.export.Dim("batch"), torch.export.Dim("points", min=8)
    shapes = {"x": {0: batch, 1: points}, "y": {0: batch, 1: points}}
    program = torch.export.export(Everything(), (X, Y), dynamic_shapes=shapes)
    called = {str(node.target) for node in program.graph.nodes}
    assert {f"pointcmt.{name}.default" for name in CALLS} <= called
    x, y = X[:1, :17], Y[:1, :17]
    torch.testing.assert_close(program.module()(x, y), Everything()(x, y))


def test_bad_input_in_a_compiled_function_is_refused_by_name() -> None:
    @torch.compile(fullgraph=True, backend="aot_eager")
    def compiled(x: Tensor) -> Tensor:
        return ops.farthest_point_sample(x, 50)

    with pytest.raises(ValueError, match="m must be at most the 40 points of xyz, not 50"):
        compiled(X)
