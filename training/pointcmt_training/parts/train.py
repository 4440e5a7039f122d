"""Training a part segmenter, and measuring it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt import ranks
from pointcmt.models.segmenter import Segmenter, with_category
from pointcmt.part_metrics import PartIoU, choose_parts, part_iou
from pointcmt_training.config import Config
from pointcmt_training.evaluate import map_batches
from pointcmt_training.folder import RunFolder
from pointcmt_training.parts.inputs import PartInputs, PartSplit
from pointcmt_training.reading import Record
from pointcmt_training.stages.common import augmented
from pointcmt_training.stages.keeping import train_and_keep


def train_segmenter(
    config: Config, inputs: PartInputs, folder: RunFolder, segmenter: nn.Module
) -> list[Record]:
    """Train with cross-entropy over all parts of all classes, as published.

    The segmenter ends with the weights of the selected epoch. Returns the history.
    """
    train, schedule, classes = inputs.train, config.training, len(inputs.classes)
    clouds = train.labelled
    segmenter.to(clouds.points.device)

    def measures(mine: Tensor, epoch: int) -> Tensor:
        changed = augmented(clouds, mine, epoch, config)  # (B, N, C + 1)
        points, parts = changed[..., :-1], changed[..., -1].long()
        logits = segmenter(with_category(points, clouds.labels[mine], classes))  # (B, N, P)
        entropy = F.cross_entropy(
            logits.flatten(0, 1),
            parts.flatten(),
            label_smoothing=schedule.label_smoothing,
            reduction="none",
        )
        right = (logits.argmax(dim=2) == parts).float()  # (B, N)
        return torch.stack([entropy.view(parts.shape).mean(dim=1), right.mean(dim=1)], dim=1)

    def step(indices: Tensor, epoch: int) -> dict[str, Tensor]:
        found = ranks.shared(lambda mine: measures(mine, epoch), indices).mean(dim=0)  # (2,)
        return {"loss": found[0], "accuracy": found[1]}

    return train_and_keep(
        config,
        inputs,
        folder,
        nn.ModuleDict({"student": segmenter}),
        step,
        clouds.labels,
        lambda kept, split: measured(kept, split, inputs.ranges).instance,
        "iou",
    )


def found_parts(segmenter: Segmenter | nn.Module, split: PartSplit, ranges: list[range]) -> Tensor:
    """Return the parts (n, N) that a segmenter finds in the clouds of a split, on the CPU."""
    labels = split.clouds.labels

    def found(indices: Tensor) -> Tensor:
        return choose_parts(segmenter(split.told(indices)), labels[indices], ranges)

    return map_batches(segmenter, found, len(split), batch_size=32)


def measured(segmenter: Segmenter | nn.Module, split: PartSplit, ranges: list[range]) -> PartIoU:
    """Measure a segmenter on the clouds of a split."""
    found = found_parts(segmenter, split, ranges)
    return part_iou(found, split.parts.cpu(), split.clouds.labels.cpu(), ranges)
