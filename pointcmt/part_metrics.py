"""Intersection over union (IoU) of part segmentation, as ShapeNetPart is measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PartIoU:
    """How well the parts of objects were found.

    The IoU of an object is the mean over the parts of its class; a part that the object neither has
    nor was given counts as 1 (Yi et al., SIGGRAPH Asia 2016, and PointNet's evaluation).

    Attributes:
        objects: (n,) float64, the IoU of each object.
        labels: (n,) int64, the class of each.
        classes: C.
        points: share of points with the right part, in [0, 1].
    """

    objects: Tensor
    labels: Tensor
    classes: int
    points: float

    @property
    def instance(self) -> float:
        """Instance mIoU: the mean over all objects, in [0, 1]; NaN where there are none."""
        return float(self.objects.mean())

    @property
    def by_class(self) -> Tensor:
        """(C,) float64: the mean over the objects of each class, NaN for a class without any."""
        sums = self.objects.new_zeros(self.classes).index_add_(0, self.labels, self.objects)
        return sums / torch.bincount(self.labels, minlength=self.classes)

    @property
    def mean_class(self) -> float:
        """Class mIoU: the mean over the classes that occur, in [0, 1]."""
        return float(self.by_class.nanmean())

    def summary(self) -> dict[str, float]:
        """Return the three figures by name, as a run's `result.json` holds them."""
        return {
            "instance_iou": self.instance,
            "class_iou": self.mean_class,
            "points": self.points,
        }


def choose_parts(logits: Tensor, labels: Tensor, ranges: Sequence[range]) -> Tensor:
    """Return the best part of each point among those of its object's class.

    Args:
        logits: (B, N, P).
        labels: (B,) int64 classes.
        ranges: the part labels of each class, see `pointcmt.parts.part_ranges`.

    Returns:
        (B, N) int64 part labels.
    """
    own = torch.zeros(len(ranges), logits.shape[2], dtype=torch.bool, device=logits.device)
    for label, parts in enumerate(ranges):
        own[label, parts.start : parts.stop] = True
    return logits.masked_fill(~own[labels].unsqueeze(1), -torch.inf).argmax(dim=2)


def part_iou(predicted: Tensor, parts: Tensor, labels: Tensor, ranges: Sequence[range]) -> PartIoU:
    """Compare predicted part labels with the true ones.

    Args:
        predicted: (n, N) int64 part labels.
        parts: (n, N) int64, the true ones.
        labels: (n,) int64 classes.
        ranges: the part labels of each class.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != parts.shape or predicted.dim() != 2 or labels.shape != parts.shape[:1]:
        raise ValueError(
            f"predicted and parts must be (n, N) and labels (n,), got {tuple(predicted.shape)}, "
            f"{tuple(parts.shape)} and {tuple(labels.shape)}"
        )
    objects = torch.full(labels.shape, torch.nan, dtype=torch.float64)
    for label, own in enumerate(ranges):
        chosen = labels == label
        objects[chosen] = _mean_iou(predicted[chosen], parts[chosen], own)
    right = float((predicted == parts).double().mean())
    return PartIoU(objects, labels, len(ranges), right)


def _mean_iou(predicted: Tensor, parts: Tensor, own: range) -> Tensor:
    """The mean IoU (m,) over the parts of one class."""
    ious = []
    for part in own:
        given, true = predicted == part, parts == part  # (m, N)
        both, either = (given & true).sum(1).double(), (given | true).sum(1)
        ious.append(torch.where(either > 0, both / either.clamp_min(1), 1.0))
    return torch.stack(ious).mean(dim=0)
