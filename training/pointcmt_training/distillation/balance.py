"""Weights that travel: a loss is scaled by its gradient, not by its value."""

import torch
from torch import Tensor

from pointcmt import ranks

SPENT = 1e-12  # norm of a gradient below which a loss is left as small as it is


def at_share(loss: Tensor, reference: Tensor, features: Tensor, share: float) -> Tensor:
    """Scale a loss so that its gradient at the encoder is a share of the reference's.

    The factor is a constant of the step. It needs no tuning for the batch size, the number of
    classes, the size of the features or how far training has come.

    Args:
        loss: scalar, a function of `features`.
        reference: scalar, the cross-entropy, a function of `features`.
        features: (B, D), the encoder's output, inside the graph of both.
        share: wanted norm of the loss's gradient at `features` over that of the reference's.
    """
    own, wanted = _norm(loss, features), _norm(reference, features)
    return loss * (share * wanted / own.clamp_min(SPENT))


def _norm(loss: Tensor, features: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, features, retain_graph=True)
    if ranks.world() > 1:  # each rank has the whole batch's, or what the mean makes it of
        gradient = ranks.summed(gradient) / ranks.world()
    norm: Tensor = torch.linalg.vector_norm(gradient)
    return norm
