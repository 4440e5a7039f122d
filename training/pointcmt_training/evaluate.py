"""Predictions of a network over a whole split."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pointcmt.metrics import Accuracy, accuracy
from pointcmt.models.student import Student


@torch.no_grad()
def map_batches(
    module: Student | nn.Module,
    function: Callable[[Tensor], Tensor],
    samples: int,
    batch_size: int = 64,
) -> Tensor:
    """Apply `function` to index batches (b,) in evaluation mode; join the results, (n, ...)."""
    training = getattr(module, "training", False)
    module.eval()
    parts = [function(part).cpu() for part in torch.split(torch.arange(samples), batch_size)]
    module.train(training)
    return torch.cat(parts)


def evaluate(
    module: Student | nn.Module,
    logits: Callable[[Tensor], Tensor],
    labels: Tensor,
    num_classes: int,
) -> Accuracy:
    """Measure a classifier whose `logits` maps index batches (b,) to (b, C)."""
    predicted = map_batches(module, logits, len(labels)).argmax(dim=1)
    return accuracy(predicted, labels, num_classes)
