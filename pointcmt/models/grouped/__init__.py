"""What every local network does with its groups of points: an MLP on each row, then a maximum."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pointcmt.models.grouped.cpu import infer_in_chunks, train_in_chunks
from pointcmt.models.grouped.groups import Groups
from pointcmt.models.grouped.network import suits_chunks
from pointcmt.models.layers import MLPLayer

__all__ = ["Groups", "max_over_groups", "max_over_points", "max_over_whole_groups"]


def max_over_groups(groups: Groups, layers: Sequence[MLPLayer]) -> Tensor:
    """Finish the first layer on every row, apply the others, take the maximum of each group.

    The first layer's linear map is already in `groups`, except its bias, which is added here. On
    the CPU a few groups are done at a time; elsewhere, and under torch.compile, which fuses by
    itself, all at once. The results are equal.

    Args:
        groups: G groups of k rows with C_1 channels.
        layers: the MLP, its first layer included.

    Returns:
        (G, C_last).
    """
    if _suits_chunks(groups):
        if all(layer.norm.training for layer in layers):
            return train_in_chunks(groups, layers)
        if not torch.is_grad_enabled() and not any(layer.norm.training for layer in layers):
            return infer_in_chunks(groups, layers)
    return max_over_whole_groups(groups, layers)


def max_over_points(points: Tensor, layers: Sequence[MLPLayer]) -> Tensor:
    """Apply the layers to every point (B, N, C) and take the maximum of each cloud: (B, C_last)."""
    weight = layers[0].linear.weight
    count, k = points.shape[:2]
    return max_over_groups(Groups(count, k, local=points.flatten(0, 1), weight=weight), layers)


def max_over_whole_groups(groups: Groups, layers: Sequence[MLPLayer]) -> Tensor:
    """The definition of `max_over_groups`: all rows at once, layer by layer, by autograd."""
    first, *rest = layers
    x = groups.rows(0, groups.count)  # (G * k, C_1)
    x = first.finish(x if first.linear.bias is None else x + first.linear.bias)
    for layer in rest:
        x = layer(x)  # (G * k, C_l)
    return x.view(groups.count, groups.k, x.shape[1]).amax(dim=1)


def _suits_chunks(groups: Groups) -> bool:
    values = groups.local if groups.local is not None else groups.table
    return values is not None and groups.count > 0 and suits_chunks(values)
