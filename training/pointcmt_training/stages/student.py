"""Stage III: the student, with feature and classifier enhancement (Section 3.4)."""

from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt import ranks
from pointcmt.metrics import Accuracy
from pointcmt.models.dropout import undropped
from pointcmt.models.student import Student
from pointcmt_training.compute import compiled, encoded, untracked
from pointcmt_training.config import Config
from pointcmt_training.distillation.method import Batch, Images
from pointcmt_training.evaluate import evaluate
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs import Inputs
from pointcmt_training.inputs.split import Split
from pointcmt_training.reading import Record
from pointcmt_training.stages.common import augmented, loss_weights, share_right
from pointcmt_training.stages.keeping import train_and_keep


def train_student(
    config: Config, inputs: Inputs, folder: RunFolder, student: Student, images: Images | None
) -> list[Record]:
    """Train the student; without `images` this is the control by the same recipe.

    The student ends with the weights of the selected epoch. Returns the history.
    """
    train, schedule = inputs.train, config.training
    method = config.distillation.loss(images) if images else None
    network = cast(nn.Module, student)
    trained = nn.ModuleDict({"student": network})
    if method:
        trained["method"] = method
    trained.to(train.points.device)
    weights = loss_weights(config, train.labels, len(inputs.classes))

    encode = compiled(student.encode, config.compute)

    def read_whole(features: Tensor) -> Tensor:
        with undropped(network), untracked(network):  # statistics are those of the clouds
            return student.classify(features)

    def step(indices: Tensor, epoch: int) -> dict[str, Tensor]:
        drawn = inputs.drawn(indices) if method else indices
        labels, smoothing = train.labels[indices], schedule.label_smoothing
        read = partial(augmented, inputs.pool, epoch=epoch, config=config)
        features = ranks.shared(
            lambda mine: encoded(network, encode, read, mine, schedule.parts), drawn
        )  # (B + U, D)
        logits = student.classify(features)  # (B + U, C)
        known = logits[: len(labels)]  # (B, C)
        entropy = F.cross_entropy(known, labels, weights, label_smoothing=smoothing)
        parts = {"cross_entropy": entropy}
        if images and method:
            batch = Batch(
                features,
                logits,
                images.features[drawn],
                labels,
                read_whole,
                parts["cross_entropy"],
                smoothing,
                (epoch + 1) / schedule.epochs,
            )
            parts |= method(batch)
        total = torch.stack(list(parts.values())).sum()
        return {"loss": total, **parts, "accuracy": share_right(known, labels)}

    return train_and_keep(
        config,
        inputs,
        folder,
        trained,
        step,
        train.labels,
        lambda kept, split: student_accuracy(cast(Student, kept), split).overall,
    )


def student_accuracy(student: Student, split: Split) -> Accuracy:
    """Measure the student on the clouds of a split."""
    labels = split.labels.cpu()
    return evaluate(student, lambda i: student(split.points[i]), labels, student.num_classes)
