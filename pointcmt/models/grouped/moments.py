"""Layers on grouped points whose batch norms need not visit every row they normalise.

A linear map of rows with few channels has moments that follow from the rows' own, and a maximum
may be taken before a batch norm, which is monotone in each channel. So rows are computed a chunk at
a time, and once more on the way back, and never leave the cache.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pointcmt import ranks
from pointcmt.models.global_batch import GlobalBatchNorm
from pointcmt.models.grouped.cpu import maximum
from pointcmt.models.grouped.network import CHUNK_BYTES, suits_chunks
from pointcmt.models.layers import MLPLayer, track_moments

Compute = Callable[..., Tensor]


def narrow_affine(layer: MLPLayer, rows: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return linear map and batch norm of a layer as one affine map: matrix (c, C), shift (C,).

    Args:
        layer: whose batch norm takes the moments of `rows` while training.
        rows: (R, c) with few channels.
        weight: (C, c), the linear map, the layer's own or one that gives the same for these rows.
    """
    moments = None
    if layer.norm.training:
        exact, wide = rows.double(), weight.double()
        centre = exact.mean(0)  # (c,)
        covariance = (exact.t() @ exact) / len(rows) - torch.outer(centre, centre)  # (c, c)
        moments = wide @ centre, ((wide @ covariance) * wide).sum(1).clamp_min(0)  # (C,) each
    scale, shift = _affine(layer.norm, moments, len(rows), layer.linear.bias)
    return (weight * scale.unsqueeze(1)).t().contiguous(), shift


def max_of_normed(
    norm: nn.BatchNorm1d, k: int, compute: Compute, rows: Sequence[Tensor], shared: Sequence[Tensor]
) -> Tensor:
    """Compute rows, normalise them, take ReLU, then the maximum of each group.

    Args:
        norm: the batch norm.
        k: rows of a group.
        compute: gives rows (R, C) for the like rows of `rows` and all of `shared`; the rows are
            multiplied by `rising(norm)`.
        rows: tensors of G * k rows.
        shared: tensors that belong to every row.

    Returns:
        (G, C).
    """
    sign, size = rising(norm), len(rows[0])
    best, mean, var = _best(k, compute, rows, shared)
    moments = (mean * sign, var) if norm.training else None
    scale, shift = _affine(norm, moments, size)
    return torch.addcmul(shift, best, scale * sign).relu()


def rising(norm: nn.BatchNorm1d) -> Tensor:
    """Return the sign (C,), 1 or -1, with which each channel rises through the batch norm."""
    return torch.where(norm.weight < 0, -1, 1).to(norm.weight.dtype)


def _best(
    k: int, compute: Compute, rows: Sequence[Tensor], shared: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the maximum (G, C) of each group, and mean and variance (C,) of all rows."""
    if suits_chunks(rows[0]):
        parts = _Best.apply(k, compute, len(rows), *rows, *shared)  # type: ignore[no-untyped-call]
        return cast(tuple[Tensor, Tensor, Tensor], parts)
    values = compute(*rows, *shared)
    values = values.to(torch.promote_types(values.dtype, torch.float32))  # for the moments
    var, mean = torch.var_mean(values, dim=0, correction=0)
    return values.view(-1, k, values.shape[1]).amax(dim=1), mean, var


class _Best(torch.autograd.Function):
    """`_best`, a chunk of groups at a time; computes the chunks anew to go back."""

    @staticmethod
    def forward(
        ctx: Any, k: int, compute: Compute, split: int, *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        """Go over the chunks once."""
        rows, shared = inputs[:split], inputs[split:]
        found: list[tuple[Tensor, Tensor]] = []
        sums = torch.zeros((), dtype=torch.float64)
        for part in _chunks(k, inputs):
            values = compute(*(tensor[part] for tensor in rows), *shared)
            sums = sums + torch.stack((values.sum(0), (values * values).sum(0))).double()
            found.append(maximum(values.view(-1, k, values.shape[1])))
        best, chosen = (torch.cat(parts) for parts in zip(*found, strict=True))
        mean, square = sums / len(rows[0])
        ctx.k, ctx.compute, ctx.split = k, compute, split
        ctx.save_for_backward(mean, chosen.long(), *inputs)
        return best, mean, (square - mean * mean).clamp_min_(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, peak: Tensor, to_mean: Tensor, to_var: Tensor) -> tuple[Any, ...]:
        """Go over the chunks again, with autograd in each."""
        mean, chosen, *inputs = ctx.saved_tensors
        size, needed = len(inputs[0]), ctx.needs_input_grad[3:]
        tilt = 2 * to_var / size
        offset = to_mean / size - tilt * mean
        tilt, offset = tilt.to(peak.dtype), offset.to(peak.dtype)
        grads = [torch.zeros_like(t) if n else None for t, n in zip(inputs, needed, strict=True)]
        for part in _chunks(ctx.k, inputs):
            here = [(t[part] if i < ctx.split else t).detach() for i, t in enumerate(inputs)]
            wanted = [t.requires_grad_() for t, need in zip(here, needed, strict=True) if need]
            with torch.enable_grad():
                values = ctx.compute(*here)
            grad = torch.addcmul(offset, values.detach(), tilt).view(-1, ctx.k, values.shape[1])
            groups = slice(part.start // ctx.k, part.stop // ctx.k)
            grad.scatter_add_(1, chosen[groups].unsqueeze(1), peak[groups].unsqueeze(1))
            given = iter(torch.autograd.grad(values, wanted, grad.flatten(0, 1)))
            for i, total in enumerate(grads):
                if total is not None and i < ctx.split:
                    total[part] = next(given)
                elif total is not None:
                    total += next(given)
        return None, None, None, *grads


def _chunks(k: int, inputs: Sequence[Tensor]) -> Iterator[slice]:
    """Yield ranges of rows, whole groups each."""
    size = len(inputs[0])
    widest = max(tensor.shape[-1] for tensor in inputs) * inputs[0].element_size()
    step = max(1, CHUNK_BYTES // (widest * k)) * k
    for first in range(0, size, step):
        yield slice(first, min(first + step, size))


def _affine(
    norm: nn.BatchNorm1d,
    moments: tuple[Tensor, Tensor] | None,
    rows: int,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return a batch norm as scale and shift (C,).

    Args:
        norm: the batch norm.
        moments: mean and variance (C,) of this rank's rows; None for the running ones.
        rows: how many these are.
        bias: (C,) what is added to the rows before.
    """
    if moments is None:
        mean, var = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        mean = mean if bias is None else mean - bias
    else:
        mean, var, count = _of_all_ranks(norm, moments[0].double(), moments[1].double(), rows)
        moved = mean if bias is None else mean + bias
        track_moments(norm, moved.detach(), var.detach(), count)
    scale = norm.weight / (var + norm.eps).sqrt()
    shift = norm.bias - mean * scale
    if moments is not None and bias is not None:
        shift = shift + 0 * bias  # it cancels, and has a gradient of zero all the same
    return scale.to(norm.weight.dtype), shift.to(norm.weight.dtype)


def _of_all_ranks(
    norm: nn.BatchNorm1d, mean: Tensor, var: Tensor, rows: int
) -> tuple[Tensor, Tensor, float]:
    if not isinstance(norm, GlobalBatchNorm | nn.SyncBatchNorm):
        return mean, var, float(rows)
    count = float(ranks.summed(torch.tensor(rows, dtype=torch.float64)))
    sums = torch.stack((mean, var + mean * mean)) * rows
    mean, square = ranks.summed_with_gradient(sums) / count
    return mean, (square - mean * mean).clamp_min(0), count
