"""Layers on groups of points, a chunk of groups at a time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pointcmt.models.grouped.groups import Groups
from pointcmt.models.layers import MLPLayer, activate

CHUNK_BYTES = 512 * 1024  # of the widest layer; with its inputs and gradients it fits a core's L2


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
    """

    def __init__(self, groups: Groups, modules: Sequence[MLPLayer]) -> None:
        self.groups = groups
        self.layers = [
            Layer(m.linear.weight if i else None, m.norm.weight, m.norm.bias, m.norm.eps, m.slope)
            for i, m in enumerate(modules)
        ]
        self.affines: list[Affine] = []
        self.kept: dict[int, Tensor] = {}

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

    def map(self, layer: int, x: Tensor) -> Tensor:
        """Apply the linear map of a layer behind the first to rows (R, C_in)."""
        weight = self.layers[layer].weight
        assert weight is not None  # noqa: S101
        return x @ weight.t()

    def after(self, layer: int, z: Tensor) -> Tensor:
        """Apply a layer's batch norm and activation to rows (R, C)."""
        affine = self.affines[layer]
        return activate(torch.addcmul(affine.shift, z, affine.scale), self.layers[layer].slope)

    def sweep(self, layer: int) -> Iterator[tuple[int, int, Tensor]]:
        """Yield all chunks before a layer's batch norm; those of a middle layer are kept.

        The first layer is cheap to compute again, and the last is needed for one more chunk-wise
        pass only, for which the product is faster than memory.
        """
        gamma = self.layers[layer].gamma
        middle = 0 < layer < len(self.layers) - 1
        kept = gamma.new_empty(self.size if middle else 0, gamma.shape[0])
        for first, last in self.chunks():
            z = self.before(layer, first, last)
            if middle:
                kept[first * self.groups.k : last * self.groups.k] = z
            yield first, last, z
        if middle:
            self.kept[layer] = kept
