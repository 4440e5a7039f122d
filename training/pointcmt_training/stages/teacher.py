"""Stage I: the image teacher, and its features, which are computed once."""

import hashlib
import warnings
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt import ranks
from pointcmt.data.augment_pictures import PictureAugmentation, draw_views
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt.metrics import Accuracy
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt.teacher.pretrained import start_from
from pointcmt_training.compute import compiled, encoded, recompute
from pointcmt_training.config import Config
from pointcmt_training.evaluate import BATCH, evaluate, map_batches
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs import Inputs
from pointcmt_training.inputs.split import Split
from pointcmt_training.loop import Loop, batches
from pointcmt_training.stages.common import (
    augmented,
    digest,
    epoch_order,
    loss_weights,
    seeded,
    share_right,
    train_or_load,
)
from pointcmt_training.together import told

PICTURES = 96  # at once on a processor, those of 16 objects with six views


def train_teacher(
    config: Config, inputs: Inputs, folder: RunFolder, feature_dim: int
) -> MultiViewTeacher:
    """Train image encoder and classifier on the views with cross-entropy (Section 3.2)."""
    train, schedule = inputs.train, config.teacher
    teacher = seeded(config.seed, lambda: build_teacher(config, inputs, feature_dim))
    teacher.to(train.points.device)
    if _whole_vectors(teacher):
        teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = loss_weights(config, train.labels, len(inputs.classes))

    encode = compiled(teacher.encode_each, config.compute)

    def step(indices: Tensor, epoch: int) -> dict[str, Tensor]:
        views = partial(augmented_views, train, epoch=epoch, config=config)
        features = ranks.shared(
            lambda mine: encoded(teacher, encode, views, mine, schedule.parts), indices
        )  # (B, K, D)
        logits, labels = teacher.classify(features), train.labels[indices]
        each = labels.repeat_interleave(schedule.networks)  # (B * K,): every network must be right
        smoothing = schedule.label_smoothing
        loss = F.cross_entropy(logits.flatten(0, 1), each, weights, label_smoothing=smoothing)
        return {"loss": loss, "accuracy": share_right(logits.mean(dim=1), labels)}

    def order() -> Tensor:
        drawn = epoch_order(config, train.labels)
        train.expect(batches(drawn, schedule.batch_size), schedule.batch_size)
        return drawn

    loop = Loop("teacher", teacher, schedule, len(train), step, folder, config, order=order)
    return train_or_load(teacher, folder, "teacher", lambda: loop)


def _whole_vectors(teacher: MultiViewTeacher) -> bool:
    """Whether every convolution gives a multiple of 8 channels.

    With 13 or 51 channels last, torch 2.13's gradients on a processor write beyond their memory.
    """
    convolutions = (part for part in teacher.modules() if isinstance(part, nn.Conv2d))
    return all(part.out_channels % 8 == 0 for part in convolutions)


def augmented_views(split: Split, indices: Tensor, epoch: int, config: Config) -> Tensor:
    """Return the images that stage I learns from, (B, V, C, H, W): changed anew in every epoch."""
    asked, clouds, drawn = config.views, None, None
    if asked.augment and not asked.pictured:
        clouds = augmented(split.whole, indices, epoch, config, shuffle=False)[..., :3]
    if asked.drawn:
        drawn = draw_views(indices, split.view_shape[0], asked.drawn, epoch, config.seed)
    change = PictureAugmentation(asked.flip, asked.crop, asked.erase)
    return change(split.views(indices, clouds, drawn), indices, epoch, config.seed)


def teacher_accuracy(teacher: MultiViewTeacher, split: Split) -> Accuracy:
    """Measure the teacher on the images of a split."""
    labels = split.labels.cpu()
    split.expect([torch.arange(len(split))], at_once(split))
    return evaluate(
        teacher, lambda i: teacher(split.views(i)), labels, teacher.num_classes, at_once(split)
    )


def at_once(split: Split) -> int:
    """Return how many objects are looked at together without gradients.

    A processor gains nothing from more pictures than a step of training has, and memory does not
    grow with the test split then.
    """
    if split.points.is_cuda:
        return BATCH
    return max(1, PICTURES // split.view_shape[0])


def teacher_features(
    config: Config,
    teacher: MultiViewTeacher,
    split: Split,
    folder: RunFolder,
    source: RunFolder | None = None,
) -> Tensor:
    """Return F_img (n, D) of plain views; cached by what made them: weights, clouds, views.

    They are read in `folder` or `source` and written in `folder`. A damaged file is said in a
    warning, and its features are computed anew.
    """
    name = Path("features") / f"{_fingerprint(config, teacher, split)}.npz"
    path, other = folder.root / name, (source or folder).root / name
    kept = told(lambda: _read_features(path) if path.is_file() else None)
    if kept is None and other != path:
        kept = told(lambda: _read_features(other) if other.is_file() else None)
    if kept is not None:
        return kept.to(split.points.device)
    split.expect([torch.arange(len(split))], at_once(split))
    features = map_batches(
        teacher, lambda i: teacher.encode(split.views(i)), len(split), at_once(split)
    )
    if not ranks.rank():
        with write_beside(path) as fresh, fresh.open("wb") as file:
            np.savez(file, features=features.numpy())
    return features.to(split.points.device)


def _read_features(path: Path) -> Tensor | None:
    """Read a cached file, an archive with a checksum; None where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return torch.from_numpy(archive["features"])
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        warnings.warn(f"{path}: damaged; the features are computed anew", stacklevel=2)
        return None


def build_teacher(config: Config, inputs: Inputs, feature_dim: int) -> MultiViewTeacher:
    """Return a new teacher for these views and classes, with D = `feature_dim`.

    Raises:
        InputError: the backbone is unknown or lacks an option, or its start cannot be had.
    """
    try:
        teacher = MultiViewTeacher(
            config.teacher.backbone,
            num_classes=len(inputs.classes),
            in_channels=inputs.train.view_shape[1],
            width=config.teacher.width,
            stem=config.teacher.stem,
            aggregate=config.teacher.aggregate,
            feature_dim=feature_dim,
            networks=config.teacher.networks,
        )
        if config.teacher.recompute:
            recompute(teacher.blocks)
    except (ValueError, ImportError) as error:
        raise InputError(f"teacher: {error}") from error
    if config.teacher.start:
        start_from(teacher, config.teacher.start)
    return teacher


def _fingerprint(config: Config, teacher: MultiViewTeacher, split: Split) -> str:
    seen = config.views
    views = f"{seen.kind} {seen.size} {seen.placed} {seen.look}"
    if seen.pictured and split.dataset.views is not None:
        views += "".join(split.dataset.views.state(index) for index in range(len(split)))
    made_of = f"{split.dataset.fingerprint()} {views} {digest(teacher.state_dict())}"
    return hashlib.sha256(made_of.encode()).hexdigest()[:32]
