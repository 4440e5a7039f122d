"""Layers on groups of points, a chunk of groups at a time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pointcmt import ranks
from pointcmt.models.global_batch import GlobalBatchNorm
from pointcmt.models.grouped.groups import Groups
from pointcmt.models.layers import MLPLayer

CHUNK_BYTES = 1024 * 1024  # of the widest layer; with its inputs and gradients it fits a core's L2


def suits_chunks(values: Tensor) -> bool:
    """Whether rows made of these are computed a chunk at a time: on a processor, in full precision.

    Under torch.compile, which fuses by itself, they are not.
    """
    return (
        values.device.type == "cpu"
        and values.dtype in (torch.float32, torch.float64)
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
    )


class Layer(NamedTuple):
    """What a chunk needs of an `MLPLayer`; the first layer's weight is in the groups."""

    weight: Tensor | None  # (C_out, C_in)
    gamma: Tensor  # (C_out,)
    beta: Tensor  # (C_out,)
    eps: float
    slope: float


class Affine(NamedTuple):
    """A batch norm as the affine map that it is in one pass: scale * z + shift, each (C,)."""

    scale: Tensor
    shift: Tensor
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, mean: Tensor, var: Tensor, layer: Layer) -> "Affine":
        """Combine moments (C,), in float64 while training, with the learnt scale and shift."""
        deviation = (var + layer.eps).sqrt()
        scale = layer.gamma / deviation
        parts = (scale, layer.beta - mean * scale, mean, deviation)
        return cls(*(part.to(layer.gamma.dtype) for part in parts))


class Network:
    """The layers; their batch norms are known up to some layer.

    Attributes:
        groups: the rows before the first batch norm.
        layers: all layers.
        affines: the known batch norms.
        kept: by layer, all rows before its batch norm, where they are kept.
        batch: the number of rows whose moments a batch norm takes, on all ranks where it is global.
    """

    def __init__(self, groups: Groups, modules: Sequence[MLPLayer]) -> None:
        self.groups = groups
        self.layers = [
            Layer(m.linear.weight if i else None, m.norm.weight, m.norm.bias, m.norm.eps, m.slope)
            for i, m in enumerate(modules)
        ]
        self.affines: list[Affine] = []
        self.kept: dict[int, Tensor] = {}
        self.is_global = all(isinstance(m.norm, GlobalBatchNorm) for m in modules)
        self.batch = float(self.size)

    def summed(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks where the batch norms are global."""
        return ranks.summed(values) if self.is_global else values

    @property
    def size(self) -> int:
        """The number of rows, G * k."""
        return self.groups.count * self.groups.k

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of groups."""
        row = max(layer.gamma.nbytes for layer in self.layers)
        step = max(1, CHUNK_BYTES // (row * self.groups.k))
        for first in range(0, self.groups.count, step):
            yield first, min(first + step, self.groups.count)

    def before(self, layer: int, first: int, last: int) -> Tensor:
        """Return the rows of some groups before a layer's batch norm, (n * k, C)."""
        if layer == 0:
            return self.groups.rows(first, last)
        if layer in self.kept:
            return self.kept[layer][first * self.groups.k : last * self.groups.k]
        return self.map(layer, self.after(layer - 1, self.before(layer - 1, first, last)))

    def weight(self, layer: int) -> Tensor:
        """Return the linear map of a layer behind the first, (C_out, C_in)."""
        weight = self.layers[layer].weight
        assert weight is not None  # noqa: S101
        return weight

    def map(self, layer: int, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Apply the linear map of a layer behind the first to rows (R, C_in)."""
        return torch.mm(x, self.weight(layer).t(), out=out)

    def after(self, layer: int, z: Tensor) -> Tensor:
        """Apply a layer's batch norm and activation to rows (R, C)."""
        affine = self.affines[layer]
        return activate_(torch.addcmul(affine.shift, z, affine.scale), self.layers[layer].slope)

    def sweep(self, layer: int) -> Iterator[tuple[int, int, Tensor]]:
        """Yield all chunks before a layer's batch norm; those of a middle layer are kept.

        The first layer is cheap to compute again, and the last is needed in one more pass only, for
        which its product is no slower than memory.
        """
        if not 0 < layer < len(self.layers) - 1:
            for first, last in self.chunks():
                yield first, last, self.before(layer, first, last)
            return
        gamma, k = self.layers[layer].gamma, self.groups.k
        kept = gamma.new_empty(self.size, gamma.shape[0])
        for first, last in self.chunks():
            x = self.after(layer - 1, self.before(layer - 1, first, last))
            yield first, last, self.map(layer, x, out=kept[first * k : last * k])
        self.kept[layer] = kept


def activate_(x: Tensor, slope: float) -> Tensor:
    """`layers.activate`, in place."""
    if slope == 1.0:
        return x
    return x.relu_() if slope == 0.0 else torch.nn.functional.leaky_relu_(x, slope)


def through_activation(
    grad: Tensor, result: Tensor, slope: float, out: Tensor | None = None
) -> Tensor:
    """Return the gradient of an activation's input, from that of its result (R, C)."""
    out = torch.empty_like(grad) if out is None else out
    if slope == 1.0:
        return out.copy_(grad)
    if slope == 0.0:
        torch.ops.aten.threshold_backward.grad_input(grad, result, 0, grad_input=out)
    else:
        torch.ops.aten.leaky_relu_backward.grad_input(grad, result, slope, True, grad_input=out)
    return out
