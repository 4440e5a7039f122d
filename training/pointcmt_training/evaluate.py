"""Predictions of a network over a whole split."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pointcmt import ranks
from pointcmt.metrics import Accuracy, accuracy
from pointcmt.models import Network

BATCH = 64  # samples at once


@torch.no_grad()
def map_batches(
    module: Network | nn.Module,
    function: Callable[[Tensor], Tensor],
    samples: int,
    batch_size: int = BATCH,
) -> Tensor:
    """Apply `function` to index batches (b,) in evaluation mode; join the results, (n, ...)."""
    training = getattr(module, "training", False)
    module.eval()

    def mapped(indices: Tensor) -> Tensor:
        return torch.cat([function(part).cpu() for part in torch.split(indices, batch_size)])

    few = samples < ranks.world()  # each rank needs one
    indices = torch.arange(samples)
    joined = mapped(indices) if few else ranks.shared(mapped, indices)
    module.train(training)
    return joined


def evaluate(
    module: Network | nn.Module,
    logits: Callable[[Tensor], Tensor],
    labels: Tensor,
    num_classes: int,
    batch_size: int = BATCH,
) -> Accuracy:
    """Measure a classifier whose `logits` maps index batches (b,) to (b, C)."""
    predicted = map_batches(module, logits, len(labels), batch_size).argmax(dim=1)
    return accuracy(predicted, labels, num_classes)
