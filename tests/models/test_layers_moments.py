"""Batch norms that visit no row: equal to the layers as they are written, by autograd."""

import copy

import pytest
import torch
from torch import Tensor, nn

from pointcmt.models.global_batch import GlobalBatchNorm, over_global_batch
from pointcmt.models.grouped import moments
from pointcmt.models.grouped.moments import max_of_normed, narrow_affine, rising
from pointcmt.models.layers import MLPLayer, track_moments

GROUPS, K, NARROW, WIDE, OUT = 11, 5, 4, 16, 6


class Weighting(nn.Module):
    """Rows weighted by a map of a narrow layer, normalised, their maximum taken."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = MLPLayer(NARROW, WIDE, bias=True)
        self.linear = nn.Linear(WIDE, OUT)
        self.norm = nn.BatchNorm1d(OUT)
        for norm in (self.layer.norm, self.norm):
            nn.init.normal_(norm.weight)  # of both signs
            nn.init.normal_(norm.bias)
            nn.init.uniform_(norm.get_buffer("running_var"), 0.5, 2)

    def as_written(self, rows: Tensor, values: Tensor) -> Tensor:
        weighted = self.linear(self.layer(rows)) * values
        normed: Tensor = self.norm(weighted)
        return normed.relu().view(GROUPS, K, OUT).amax(dim=1)

    def forward(self, rows: Tensor, values: Tensor) -> Tensor:
        sign = rising(self.norm)
        linear = self.linear.weight * sign.unsqueeze(1), self.linear.bias * sign
        shared = (*narrow_affine(self.layer, rows, self.layer.linear.weight), *linear)
        return max_of_normed(self.norm, K, _product, (rows, values), shared)


def _product(
    rows: Tensor, values: Tensor, matrix: Tensor, shift: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    hidden = torch.addmm(shift, rows, matrix).relu_()
    return nn.functional.linear(hidden, weight, bias) * values


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["own", "global"])
@pytest.mark.parametrize("whole", [True, False])
def test_they_are_the_layers_as_written(
    training: bool, kind: str, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In chunks of two groups and in one, with the batch norms of a rank and of all."""
    torch.manual_seed(0)
    monkeypatch.setattr(moments, "CHUNK_BYTES", 10**6 if whole else 2 * K * WIDE * 8)
    written = Weighting().double().train(training)
    given = copy.deepcopy(written)
    if kind == "global":
        over_global_batch(given)
        assert isinstance(given.norm, GlobalBatchNorm)
    inputs = [torch.randn(GROUPS * K, c).double().requires_grad_() for c in (NARROW, OUT)]
    upstream = torch.randn(GROUPS, OUT).double()
    results = []
    for module, call in ((written, written.as_written), (given, given)):
        pooled = call(*inputs)
        grads = torch.autograd.grad((pooled * upstream).sum(), [*inputs, *module.parameters()])
        results.append([pooled, *grads, *module.buffers()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)
    with torch.no_grad():
        torch.testing.assert_close(given(*inputs), results[0][0], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_moments_move_as_torchs_with_and_without_a_momentum(momentum: float | None) -> None:
    own, plain = (nn.BatchNorm1d(3, momentum=momentum) for _ in range(2))
    for rows in torch.randn(3, 8, 3, generator=torch.Generator().manual_seed(0)):
        plain(rows)
        track_moments(own, rows.mean(0), rows.var(0, correction=0), len(rows))
    torch.testing.assert_close(own.state_dict(), plain.state_dict())
