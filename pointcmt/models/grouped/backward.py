"""Gradients of the maximum over groups, a chunk of groups at a time."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pointcmt.models.grouped.network import Network, through_activation


class Backward:
    """One backward pass, from the maximum down to the terms of the groups.

    The gradient before a batch norm is what comes from above, scaled, and a term that is affine in
    the row itself, because the row moves the batch's moments. What comes from above is stored until
    its own two moments are known; the affine term is computed where it is needed.

    Args:
        network: with all batch norms known.
        best: (G, C) the chosen rows before the last batch norm.
        chosen: (G, C) their places in the groups.

    Attributes:
        parameters: by layer, the gradients of weight, gamma and beta.
    """

    def __init__(self, network: Network, best: Tensor, chosen: Tensor) -> None:
        self.network = network
        self.best = best
        self.chosen = chosen
        self.width = max((layer.gamma.shape[0] for layer in network.layers[:-1]), default=0)
        self.above = best.new_empty(network.size * self.width)
        self.parameters: dict[int, tuple[Tensor | None, Tensor, Tensor]] = {}

    def run(self, grad: Tensor, pooled: Tensor, needs_local: bool) -> list[Tensor | None]:
        """Return the gradients of local, weight, table and shared; fill `parameters`.

        Args:
            grad: (G, C) of `pooled`.
            pooled: (G, C) the result of the forward pass.
            needs_local: whether the gradient of local is wanted.
        """
        top = len(self.network.layers) - 1
        raw = through_activation(grad, pooled, self.network.layers[top].slope)  # (G, C)
        self.peak = raw * self.network.affines[top].scale  # (G, C)
        moments = torch.stack((raw.sum(0), (raw * self.best).sum(0)))  # (2, C)
        for layer in range(top, 0, -1):
            self._norm(layer, moments)
            moments = self._last_linear() if layer == top else self._linear(layer)
        self._norm(0, moments)
        return self._groups(needs_local)

    def _norm(self, layer: int, moments: Tensor) -> None:
        """Find a batch norm's gradients and the affine term: tilt * z + offset."""
        affine = self.network.affines[layer]
        beta, product = moments
        gamma = (product - affine.mean * beta) / affine.deviation
        dtype, batch = affine.scale.dtype, self.network.batch
        self.parameters[layer] = (None, gamma.to(dtype), beta.to(dtype))
        gamma, beta = self.network.summed(torch.stack((gamma, beta)))
        tilt = -affine.scale * gamma / (affine.deviation * batch)
        offset = -affine.scale * beta / batch - tilt * affine.mean
        self.tilt, self.offset = tilt.to(dtype), offset.to(dtype)

    def _last_linear(self) -> Tensor:
        """Go through the last linear map and the activation below it; return the moments there.

        From above, only the row that a channel has chosen of a group has a gradient: its products
        are sums of few rows. The affine term, in z = W x, goes through matrices of x alone, which
        is narrower than z: W' diag(tilt) W for the rows, W X' X for the weight.
        """
        layer, below = len(self.network.layers) - 1, len(self.network.layers) - 2
        weight = self.network.weight(layer)
        tilted = self.tilt.unsqueeze(1) * weight  # (C_out, C_in)
        mixed, constant = weight.t() @ tilted, self.offset @ weight
        gradient, gram = torch.zeros_like(weight), torch.zeros_like(mixed)
        total = torch.zeros_like(constant)
        moments = weight.new_zeros(2, weight.shape[1], dtype=torch.float64)
        for first, last in self.network.chunks():
            z = self.network.before(below, first, last)
            x = self.network.after(below, z)
            to_weight, to_rows = self._through_chosen(first, last, x, weight)
            gradient += to_weight
            gram.addmm_(x.t(), x)
            total += x.sum(0)
            self._store(below, first, last, to_rows.addmm_(x, mixed).add_(constant), x, z, moments)
        gradient += tilted @ gram + self.offset.unsqueeze(1) * total
        self.parameters[layer] = (gradient, *self.parameters[layer][1:])
        return moments

    def _through_chosen(
        self, first: int, last: int, x: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what the chosen rows send to the weight (C_out, C_in) and to x (n * k, C_in)."""
        chosen, peak = self.chosen[first:last], self.peak[first:last]  # (n, C_out)
        start = self.network.groups.k * torch.arange(last - first).unsqueeze(1)
        rows = start + chosen  # (n, C_out), places in x
        to_weight = F.embedding_bag(
            rows.t().contiguous(), x, mode="sum", per_sample_weights=peak.t().contiguous()
        )
        order = chosen.argsort(dim=1)  # channels by the row that they have chosen
        count = rows.flatten().bincount(minlength=x.shape[0])
        to_rows = F.embedding_bag(
            order.flatten(),
            weight,
            count.cumsum(0) - count,
            mode="sum",
            per_sample_weights=peak.gather(1, order).flatten(),
        )
        return to_weight, to_rows

    def _linear(self, layer: int) -> Tensor:
        """Go through a linear map and the activation below it; return the moments there (2, C)."""
        network, below = self.network, layer - 1
        weight = network.weight(layer)
        gradient = torch.zeros_like(weight)
        moments = weight.new_zeros(2, weight.shape[1], dtype=torch.float64)
        for first, last in network.chunks():
            z = network.before(below, first, last)
            x = network.after(below, z)
            rows = self._rows(layer, first, last)
            gradient.addmm_(rows.t(), x)
            self._store(below, first, last, rows @ weight, x, z, moments)
        self.parameters[layer] = (gradient, *self.parameters[layer][1:])
        return moments

    def _groups(self, needs_local: bool) -> list[Tensor | None]:
        """Go into the terms that the groups are made of."""
        groups = self.network.groups
        terms = (groups.local if needs_local else None, groups.weight, groups.table, groups.shared)
        local, weight, table, shared = (None if t is None else torch.zeros_like(t) for t in terms)
        for first, last in self.network.chunks():
            rows = self._rows(0, first, last)
            here = slice(first * groups.k, last * groups.k)
            if weight is not None and groups.local is not None:
                weight += (groups.local[here].t() @ rows).t()  # this way round for a few columns
            if local is not None and groups.weight is not None:
                local[here] = rows @ groups.weight
            if table is not None and groups.index is not None:
                table.index_add_(0, groups.index[here], rows)
            if shared is not None:
                shared[first:last] = rows.view(-1, groups.k, rows.shape[1]).sum(1)
        return [local, weight, table, shared]

    def _rows(self, layer: int, first: int, last: int) -> Tensor:
        """Return the gradient of rows (n * k, C) before a layer's batch norm."""
        z = self.network.before(layer, first, last)
        gradient = torch.addcmul(self.offset, z, self.tilt)
        if layer == len(self.network.layers) - 1:
            grouped = gradient.view(last - first, -1, gradient.shape[1])
            chosen, peak = self.chosen[first:last], self.peak[first:last]
            grouped.scatter_add_(1, chosen.unsqueeze(1), peak.unsqueeze(1))
        else:
            gradient.addcmul_(self._place(layer, first, last), self.network.affines[layer].scale)
        return gradient

    def _store(
        self, layer: int, first: int, last: int, grad: Tensor, x: Tensor, z: Tensor, moments: Tensor
    ) -> None:
        """Take a gradient of rows x through their activation, store it, add to its moments."""
        place = self._place(layer, first, last)
        raw = through_activation(grad, x, self.network.layers[layer].slope, out=place)
        moments[0] += raw.sum(0)
        moments[1] += (raw * z).sum(0)

    def _place(self, layer: int, first: int, last: int) -> Tensor:
        """Return the store of what comes from above to a layer's rows, (n * k, C)."""
        k, width = self.network.groups.k, self.network.layers[layer].gamma.shape[0]
        start = first * k * self.width
        return self.above[start : start + (last - first) * k * width].view(-1, width)
