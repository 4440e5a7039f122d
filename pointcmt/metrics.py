"""Accuracy of a classifier, from its confusion matrix."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Accuracy:
    """What a classifier got right.

    Attributes:
        confusion: (C, C) int64 counts, rows are the true classes, columns the predicted ones.
    """

    confusion: Tensor

    @property
    def overall(self) -> float:
        """Overall accuracy (OA) in [0, 1]; NaN where nothing was counted."""
        return float(self.confusion.diagonal().sum() / self.confusion.sum())

    @property
    def mean_class(self) -> float:
        """Mean of the per-class accuracies (mAcc) over the classes that occur, in [0, 1]."""
        counts = self.confusion.sum(dim=1)  # (C,)
        present = counts > 0
        return float((self.confusion.diagonal()[present] / counts[present]).mean())

    def summary(self) -> dict[str, float]:
        """Return OA and mAcc by name, as a run's `result.json` holds them."""
        return {"overall": self.overall, "mean_class": self.mean_class}


def accuracy(predicted: Tensor, labels: Tensor, num_classes: int) -> Accuracy:
    """Count predictions against labels.

    Args:
        predicted: (n,) int64 class indices in [0, num_classes).
        labels: (n,) int64 true class indices in [0, num_classes).
        num_classes: C.

    Raises:
        ValueError: the shapes differ or an index is out of range.
    """
    if predicted.shape != labels.shape or predicted.dim() != 1:
        raise ValueError(
            f"predicted and labels must be (n,), got {tuple(predicted.shape)} and "
            f"{tuple(labels.shape)}"
        )
    both = torch.cat([predicted, labels])
    if both.numel() and not 0 <= int(both.min()) <= int(both.max()) < num_classes:
        raise ValueError(f"class indices must lie in [0, {num_classes})")
    flat = torch.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return Accuracy(flat.reshape(num_classes, num_classes))
