"""`max_over_groups` on the CPU: a few groups at a time, so that rows never leave the cache.

Rows of grouped points are many (two million for a batch of 32 in PointNet++'s widest scale), and a
network written layer by layer moves all of them through memory several times a layer. Here a layer
is applied chunk by chunk, together with the batch norm and activation before it and the sums that
the next batch norm needs. What is cheap to compute again is not kept: the first layer, the last
layer, and all that lies behind a batch norm. The maximum is taken before the last batch norm,
which is monotone in each channel: rising or falling, with the sign of its scale.
"""

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pointcmt.models.grouped.backward import Backward
from pointcmt.models.grouped.groups import Groups
from pointcmt.models.grouped.network import Affine, Network, activate_
from pointcmt.models.layers import MLPLayer, track_moments


def infer_in_chunks(groups: Groups, layers: Sequence[MLPLayer]) -> Tensor:
    """`max_over_groups` with the running statistics, folded into the linear maps; no gradients."""
    network = Network(groups, layers)
    for layer, module in zip(network.layers, layers, strict=True):
        mean, bias = module.norm.get_buffer("running_mean"), module.linear.bias
        mean = mean if bias is None else mean - bias
        network.affines.append(Affine.of(mean, module.norm.get_buffer("running_var"), layer))
    scales = [affine.scale.unsqueeze(1) for affine in network.affines]  # (C, 1)
    weights = [network.weight(i) * scales[i] for i in range(1, len(layers))]
    network.groups = groups.scaled(network.affines[0].scale)
    pooled = []
    for first, last in network.chunks():
        x = network.groups.rows(first, last)  # (n * k, C_1)
        for weight, affine, module in zip(weights, network.affines, layers, strict=False):
            x = activate_(x.add_(affine.shift), module.slope) @ weight.t()  # (n * k, C_l)
        pooled.append(x.view(-1, groups.k, x.shape[1]).amax(dim=1))
    best = torch.cat(pooled) + network.affines[-1].shift
    return activate_(best, layers[-1].slope)  # (G, C_last)


def train_in_chunks(groups: Groups, layers: Sequence[MLPLayer]) -> Tensor:
    """`max_over_groups` with the statistics of this batch; updates the running ones."""
    network = Network(groups, layers)
    network.batch = float(network.summed(torch.tensor(network.size, dtype=torch.float64)))
    pooled, *moments = _MaxOverGroups.apply(  # type: ignore[no-untyped-call]
        network,
        *(groups.local, groups.weight, groups.table, groups.shared),
        *(tensor for layer in network.layers for tensor in layer[:3]),
        *(layer.linear.bias for layer in layers),
    )
    for layer, mean, var in zip(layers, moments[::2], moments[1::2], strict=True):
        bias = layer.linear.bias
        track_moments(layer.norm, mean if bias is None else mean + bias, var, network.batch)
    return cast(Tensor, pooled)


class _MaxOverGroups(torch.autograd.Function):
    """Pooled groups (G, C) and, by layer, the mean and variance (C,) of the rows in float64.

    `inputs` are the tensors of the network once more: the four terms of the groups; weight, gamma
    and beta by layer; the biases, which a batch norm of the batch's own moments cancels.
    """

    @staticmethod
    def forward(ctx: Any, network: Network, *inputs: Tensor | None) -> tuple[Tensor, ...]:
        """Go through the layers, each in one sweep over the groups."""
        top, k = len(network.layers) - 1, network.groups.k
        gamma = network.layers[top].gamma
        sign = torch.where(gamma < 0, -1, 1).to(gamma.dtype)  # (C,)
        falls = bool((gamma < 0).any())
        best = gamma.new_empty(network.groups.count, gamma.shape[0])  # (G, C)
        chosen = torch.empty_like(best, dtype=torch.int64)
        moments = []
        for i, layer in enumerate(network.layers):
            sums = layer.gamma.new_zeros(2, layer.gamma.shape[0], dtype=torch.float64)
            for first, last, z in network.sweep(i):
                sums[0] += z.sum(0)
                sums[1] += (z * z).sum(0)
                if i == top:
                    rows = (z * sign if falls else z).view(-1, k, z.shape[1])
                    best[first:last], chosen[first:last] = maximum(rows)
            mean, square = (network.summed(sums) / network.batch).unbind()
            var = (square - mean * mean).clamp_min_(0)
            network.affines.append(Affine.of(mean, var, layer))
            moments += [mean, var]
        best *= sign
        pooled = network.after(top, best)
        ctx.save_for_backward(pooled, best, chosen, *network.kept.values(), *inputs)
        ctx.network = copy.copy(network)
        ctx.network.kept = {}  # large, and freed with the saved tensors
        ctx.mark_non_differentiable(*moments)
        return pooled, *moments

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients in the order of `inputs`."""
        pooled, best, chosen, *saved = ctx.saved_tensors
        network = copy.copy(ctx.network)
        network.kept = dict(zip(range(1, len(network.layers) - 1), saved, strict=False))
        backward = Backward(network, best, chosen)
        terms = backward.run(grad, pooled, needs_local=ctx.needs_input_grad[1])
        layers = [g for layer in sorted(backward.parameters) for g in backward.parameters[layer]]
        biases = saved[-len(network.layers) :]
        return None, *terms, *layers, *(None if b is None else torch.zeros_like(b) for b in biases)


def maximum(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum of (n, k, C) over k and a place of it; `torch.max` takes much longer."""
    best = rows.amax(dim=1)  # (n, C)
    places = torch.arange(rows.shape[1], dtype=rows.dtype).unsqueeze(1)  # (k, 1)
    hits = torch.eq(rows, best.unsqueeze(1), out=torch.empty_like(rows))  # (n, k, C), 0 or 1
    return best, hits.mul_(places).amax(dim=1)
