"""What training reads: the splits of a data set as tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pointcmt.data import (
    CloudDataset,
    class_balanced_subset,
    open_dataset,
    split_validation,
)
from pointcmt.data.catalog import find
from pointcmt.data.tools.identity import Identity, identify
from pointcmt.errors import InputError
from pointcmt.geometry import COLORS, NORMALS
from pointcmt_training.compute import carried
from pointcmt_training.config import Config
from pointcmt_training.inputs.pictures import kept, rendered
from pointcmt_training.inputs.split import Split
from pointcmt_training.inputs.unlabelled import with_unlabelled
from pointcmt_training.inputs.unread import tell_unread


@dataclass(frozen=True)
class Inputs:
    """The splits of a run.

    Attributes:
        train: labelled clouds.
        validation: None where none is held out.
        test: the test split.
        pool: `train`, followed by the unlabelled clouds, whose labels are -1.
        unlabelled_batch: how many of these join a step.
    """

    train: Split
    validation: Split | None
    test: Split
    pool: Split
    unlabelled_batch: int

    def drawn(self, indices: Tensor) -> Tensor:
        """Return a step's clouds (B + U,) in the pool: the labelled ones and U unlabelled ones."""
        first, end = len(self.train), len(self.pool)
        if first == end:
            return indices
        others = torch.randint(first, end, (self.unlabelled_batch,))
        return torch.cat([indices, carried(others, indices.device)])

    @property
    def identity(self) -> Identity:
        """What tells the data from others: of training, validation, test and unlabelled clouds."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if self.pool is not self.train:
            splits["unlabelled"] = self.pool
        return identify({name: one.dataset for name, one in splits.items() if one is not None})

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names."""
        return self.train.dataset.classes


def load_inputs(config: Config, device: torch.device) -> Inputs:
    """Read the data set, take the configured share of it, and hold out a validation split.

    Raises:
        InputError: the data set is unknown, missing or damaged.
    """
    data = config.data
    whole, test = _read(config, "train"), _read(config, "test")
    _require_trainable(whole)
    used = max(_taken(config), 6 if config.views.kind == "projected-color" else 3)
    tell_unread(data, used)
    train = whole
    if data.fraction < 1:
        train = class_balanced_subset(train, data.fraction, data.subset_seed)
    held = None
    if data.validation > 0:
        train, held = split_validation(train, data.validation, data.subset_seed)
    labelled = _split(train, config, device)
    pool = labelled
    if data.unlabelled:
        joined = with_unlabelled(data.unlabelled, whole, train, held, whole.channels[:used])
        pool = _split(joined, config, device)
    return Inputs(
        labelled,
        _split(held, config, device) if held else None,
        _split(test, config, device),
        pool,
        data.unlabelled_batch,
    )


def _require_trainable(train: CloudDataset) -> None:
    if len(train.classes) < 2:
        raise InputError(
            f"{train.name}: {', '.join(train.classes)} is its only class; a classifier needs two"
        )
    counts = np.bincount(train.labels, minlength=len(train.classes))
    empty = [name for name, count in zip(train.classes, counts, strict=True) if count == 0]
    if empty:
        raise InputError(f"{train.name}: has no object of {', '.join(empty)} to train on")


def _read(config: Config, split: str) -> CloudDataset:
    """Read a split, with its pictures where the teacher sees them."""
    data = config.data
    try:
        record = find(data.name)
    except InputError as error:
        raise InputError(f"data.name: {error}") from error
    if not (data.root or record.embedded):
        raise InputError(f"data.root is missing: name {data.name}'s folder, data.root=FOLDER")
    dataset = open_dataset(
        record.name,
        data.root,
        record.train if split == "train" else split,
        max(data.points, config.views.points),
        cache=data.cache or None,
        per_class=data.per_class if split == "train" else data.per_class // 2,
        channels=data.channels,
        up=data.up,
        test_share=data.test_share,
        seed=data.subset_seed,
    )
    if config.views.kind == "projected-color" and dataset.channels[3:6] != COLORS:
        raise InputError(f"views.kind=projected-color: {dataset.name} has no colours")
    if config.views.pictured and config.distillation.uses_images:
        return dataset.with_views(rendered(config.views, data, dataset, split))
    return dataset


def _taken(config: Config) -> int:
    """How many channels the student takes."""
    wanted = config.options.get("channels", 3)
    if type(wanted) is not int:
        raise InputError(f"options.channels={wanted!r}: must be a whole number")
    return wanted


def _split(dataset: CloudDataset, config: Config, device: torch.device) -> Split:
    wanted = _taken(config)
    if wanted > len(dataset.channels):
        have = ", ".join(dataset.channels)
        raise InputError(f"options.channels={wanted}: {dataset.name} has {have} only")
    taken = [name for name in dataset.channels[:wanted] if name in NORMALS]
    if 0 < len(taken) < len(NORMALS):
        raise InputError(
            f"options.channels={wanted}: takes {', '.join(taken)}, a part of a normal; take all of "
            f"{', '.join(NORMALS)}, or none"
        )
    few, stored = config.data.points, dataset.points
    points = torch.from_numpy(np.ascontiguousarray(stored[:, :few, :wanted])).to(device)
    more = None
    if config.views.points > few:
        more = torch.from_numpy(np.ascontiguousarray(stored[..., :3])).to(device)
    labels = torch.from_numpy(dataset.labels).to(device)
    return Split(kept(dataset, config.views, config.data), points, labels, config.views, more)
