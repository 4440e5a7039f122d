"""A traced network keeps its results, and each index op its place, with fewer steps."""

import sys
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from pointcmt import ops
from pointcmt_export.convert.trace import Traced, trace


class Repeating(nn.Module):
    """Does things twice, does nothing in three ways, and nearly nothing in five."""

    def forward(self, points: Tensor) -> Tensor:
        same = points.detach().float()[:][:, 0 : sys.maxsize]
        first, second = ops.knn(same, same, 2), ops.knn(same, same, 2)
        twice = same * 2 + (same * 2).relu()
        parts = same[:, 1:, :2], same[:, :4], same[:, ::3], same[:, :0], same.double().exp().float()
        sums = torch.stack([part.sum((1, 2)) for part in parts], dim=1)
        return torch.cat([sums, twice.sum(1), (first + second).float().sum(1)], dim=1)


@pytest.fixture(scope="module")
def traced() -> Traced:
    return trace(Repeating().eval(), channels=3, min_points=5)


def test_the_results_are_the_same(traced: Traced) -> None:
    for batch, points in ((1, 5), (3, 42), (2, 60)):
        cloud = torch.rand(batch, points, 3, generator=torch.Generator().manual_seed(points))
        (logits,) = traced.module(cloud)
        assert torch.equal(logits, Repeating()(cloud))


def test_what_changes_nothing_is_left_out_and_the_rest_is_done_once(traced: Traced) -> None:
    steps = Counter(str(node.target) for node in traced.module.graph.nodes)
    for gone in ("alias.default", "detach.default", "_assert_tensor_metadata.default"):
        assert steps[f"aten.{gone}"] == 0
    assert steps["aten.to.dtype"] == 3  # to double, back, and indices to float
    assert steps["aten.slice.Tensor"] == 5
    assert steps["aten.mul.Tensor"] == 1


def test_every_call_of_an_index_op_stays(traced: Traced) -> None:
    assert [op.name for op in traced.indices] == ["knn_0", "knn_1"]


class Flattening(nn.Module):
    """Flattens to sizes that are known, to some that are not, and what is flat."""

    def forward(self, points: Tensor) -> Tensor:
        flat = points.flatten()
        rows, pairs = points.flatten(0, 1), points.unsqueeze(0).flatten(0, -2)
        weights = torch.arange(24.0).view(2, 3, 4).flatten(-2)  # (2, 12)
        every = rows.sum(0) + pairs.cumsum(0)[-1] + flat.sum() + weights[1, :3]
        same = points.flatten(1).flatten(1).expand(points.shape[0], -1)
        same = same.reshape(points.shape[0], -1)
        clouds = same.sum(1)  # (B,)
        return clouds[:, None] + every + points[..., None].flatten(2).sum(1)


def test_a_flatten_states_the_sizes_that_are_known() -> None:
    traced = trace(Flattening().eval(), channels=3, min_points=5)
    for batch, points in ((1, 5), (3, 42)):
        cloud = torch.rand(batch, points, 3, generator=torch.Generator().manual_seed(points))
        (logits,) = traced.module(cloud)
        assert torch.equal(logits, Flattening()(cloud))
    steps = Counter(str(node.target) for node in traced.module.graph.nodes)
    assert steps["aten.expand.default"] == 0
    assert steps["aten.flatten.using_ints"] == 2  # to a row a cloud, and a row a point
    stated = [n.args[1] for n in traced.module.graph.nodes if "reshape" in str(n.target)]
    assert stated == [[-1], [-1, 3], [-1, 3], [2, -1]]
