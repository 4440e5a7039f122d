"""`max_over_groups`: what is computed in chunks equals the definition by autograd."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pointcmt.models.grouped import Groups, max_over_groups, max_over_whole_groups, network
from pointcmt.models.layers import MLPLayer

CLOUDS, POINTS, CENTRES, K = 3, 20, 7, 5
TERMS = [("local",), ("table",), ("local", "table"), ("table", "shared"), ("local", "shared")]


def mlp(
    *channels: int, bias: bool = False, slope: float = 0.0, last: float = 0.0
) -> list[MLPLayer]:
    """Layers with statistics of their own, and scales of both signs."""
    slopes = [slope] * (len(channels) - 2) + [last]
    layers = [
        MLPLayer(c_in, c_out, bias=bias, slope=s).double()
        for c_in, c_out, s in zip(channels, channels[1:], slopes, strict=False)
    ]
    for layer in layers:
        nn.init.normal_(layer.norm.weight, 0.3)
        nn.init.normal_(layer.norm.bias)
        nn.init.normal_(layer.norm.get_buffer("running_mean"))
        nn.init.uniform_(layer.norm.get_buffer("running_var"), 0.5, 2)
    return layers


def inputs(terms: tuple[str, ...], width: int) -> dict[str, Tensor]:
    rows = CLOUDS * CENTRES * K
    made = {
        "local": torch.randn(rows, 3),
        "weight": torch.randn(width, 3),
        "table": torch.randn(CLOUDS * POINTS, width),
        "shared": torch.randn(CLOUDS * CENTRES, width),
    }
    names = {*terms, "weight"} if "local" in terms else set(terms)
    return {name: made[name].double().requires_grad_() for name in names}


def groups(tensors: dict[str, Tensor]) -> Groups:
    rows = CLOUDS * CENTRES * K
    index = torch.randint(0, CLOUDS * POINTS, (rows,)) if "table" in tensors else None
    return Groups(CLOUDS * CENTRES, K, index=index, **tensors)


def trained(layers: list[MLPLayer]) -> list[Tensor]:
    """All parameters but the first weight, which is in the groups."""
    parameters: list[Tensor] = [p for layer in layers for p in layer.parameters()]
    return parameters[1:]


def buffers(layers: list[MLPLayer]) -> list[Tensor]:
    return [b for layer in layers for b in layer.buffers()]


def gradients(result: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    weights = torch.linspace(-1, 2, result.numel(), dtype=result.dtype).view(result.shape)
    return list(torch.autograd.grad((result * weights).sum(), tensors))


@pytest.fixture(autouse=True)
def _several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(network, "CHUNK_BYTES", 2000)


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("channels", [(4,), (4, 6), (4, 6, 5), (8, 4, 6, 5)])
@pytest.mark.parametrize(
    "options",
    [{}, {"bias": True}, {"slope": 0.2, "last": 0.2}, {"last": 1.0}],
    ids=["relu", "bias", "leaky", "no-last"],
)
def test_training_equals_autograd(
    terms: tuple[str, ...], channels: tuple[int, ...], options: dict[str, Any]
) -> None:
    layers = mlp(3, *channels, **options)
    twin = copy.deepcopy(layers)
    made = inputs(terms, channels[0])
    batch = groups(made)
    result, expected = max_over_groups(batch, layers), max_over_whole_groups(batch, twin)
    torch.testing.assert_close(result, expected)
    own = gradients(result, [*made.values(), *trained(layers)])
    whole = gradients(expected, [*made.values(), *trained(twin)])
    torch.testing.assert_close(own, whole, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(buffers(layers), buffers(twin))


@pytest.mark.parametrize("bias", [False, True])
def test_inference_equals_autograd(bias: bool) -> None:
    layers = mlp(3, 4, 6, 5, bias=bias, slope=0.2, last=1.0)
    for layer in layers:
        layer.eval()
    batch = groups(inputs(("local", "table", "shared"), 4))
    with torch.no_grad():
        torch.testing.assert_close(
            max_over_groups(batch, layers), max_over_whole_groups(batch, layers)
        )


def test_evaluation_mode_still_gives_gradients() -> None:
    layers = mlp(3, 4, 6)
    for layer in layers:
        layer.eval()
    made = inputs(("local",), 4)
    assert max_over_groups(groups(made), layers).requires_grad


def test_gradients_are_those_of_finite_differences() -> None:
    layers = mlp(3, 4, 6, 5)
    made = inputs(("local", "table"), 4)
    batch = groups(made)
    values = list(made.values())
    assert torch.autograd.gradcheck(lambda *_: max_over_groups(batch, layers), values)


def test_other_precisions_and_empty_batches_are_computed_whole() -> None:
    layers = mlp(3, 4, 6)
    made = inputs(("local", "table"), 4)
    rough = groups({name: t.detach().bfloat16() for name, t in made.items()})
    result = max_over_groups(rough, [copy.deepcopy(layer).bfloat16() for layer in layers])
    assert result.dtype == torch.bfloat16
    for layer in layers:
        layer.eval()
    empty = Groups(0, K, local=torch.zeros(0, 3).double(), weight=made["weight"])
    with torch.no_grad():
        assert max_over_groups(empty, layers).shape == (0, 6)


def test_repeated_rows_count_once_in_the_maximum() -> None:
    """Ball query fills a row with copies; their gradients must not add up."""
    layers = mlp(3, 4, 6)
    made = inputs(("table",), 4)
    index = torch.arange(6).repeat_interleave(K)
    batch = Groups(6, K, table=made["table"], index=index)
    twin = copy.deepcopy(layers)
    own = gradients(max_over_groups(batch, layers), list(made.values()))
    whole = gradients(max_over_whole_groups(batch, twin), list(made.values()))
    torch.testing.assert_close(own, whole)


def test_float32_is_as_exact_as_autograd() -> None:
    layers = mlp(3, 16, 16, 32)
    made = {name: t.detach() + 2 for name, t in inputs(("local", "table"), 16).items()}
    exact = max_over_whole_groups(groups(made), copy.deepcopy(layers))
    torch.manual_seed(0)
    inputs(("local", "table"), 16)
    single = groups({name: t.float() for name, t in made.items()})
    errors = [
        (run(single, [copy.deepcopy(layer).float() for layer in layers]).double() - exact).abs()
        for run in (max_over_groups, max_over_whole_groups)
    ]
    assert errors[0].max() < 4 * errors[1].max() + 1e-6


def test_scale_of_zero_gives_the_shift_and_a_subgradient() -> None:
    """At zero the maximum of scale * z has the slopes from min z to max z."""
    layers = mlp(3, 4)
    with torch.no_grad():
        layers[0].norm.weight.zero_()
    batch = groups(inputs(("local",), 4))
    result = max_over_groups(batch, layers)
    torch.testing.assert_close(result, layers[0].norm.bias.relu().expand_as(result))
    gradient = torch.autograd.grad(result.sum(), layers[0].norm.weight)[0]
    z = batch.rows(0, batch.count).detach()
    z = ((z - z.mean(0)) / z.std(0, correction=0)).view(-1, K, 4)
    alive = layers[0].norm.bias > 0
    assert (gradient <= z.amax(1).sum(0) * alive + 1e-9).all()
    assert (gradient >= z.amin(1).sum(0) * alive - 1e-9).all()


def test_changing_a_weight_before_backward_is_an_error() -> None:
    layers = mlp(3, 4, 6)
    result = max_over_groups(groups(inputs(("local",), 4)), layers)
    with torch.no_grad():
        layers[1].linear.weight += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward(result.sum())


def test_groups_without_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="local term, or a table"):
        Groups(2, 3).rows(0, 1)
