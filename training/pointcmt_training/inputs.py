"""What training reads: the splits of a data set as tensors, and the images of its objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pointcmt import ranks
from pointcmt.data import (
    CloudDataset,
    class_balanced_subset,
    open_dataset,
    split_validation,
)
from pointcmt.data.catalog import find
from pointcmt.data.tools.identity import Identity, identify
from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import NORMALS
from pointcmt.views import project_color, project_depth
from pointcmt_training.ahead import PictureReader
from pointcmt_training.compute import carried
from pointcmt_training.config import Config, ViewsConfig
from pointcmt_training.pictures import kept, rendered
from pointcmt_training.unlabelled import with_unlabelled


@dataclass(frozen=True)
class Split:
    """One split, on the training device.

    Attributes:
        dataset: where it came from.
        points: (n, N, C) float32, the channels that the student takes.
        labels: (n,) int64.
        config: which views the teacher sees.
    """

    dataset: CloudDataset
    points: Tensor
    labels: Tensor
    config: ViewsConfig

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that the student takes."""
        return self.dataset.channels[: self.points.shape[2]]

    @property
    def normals(self) -> tuple[int, int, int] | None:
        """The channels of the normals that the student takes, which follow the cloud's changes."""
        if not set(NORMALS) <= set(self.channels):
            return None
        x, y, z = map(self.channels.index, NORMALS)
        return x, y, z

    def __len__(self) -> int:
        """Return the number of clouds."""
        return len(self.labels)

    def views(
        self, indices: Tensor, clouds: Tensor | None = None, drawn: Tensor | None = None
    ) -> Tensor:
        """Return the images of these objects, (B, V, C, H, W) float32 in [0, 1].

        Args:
            indices: (B,) int64.
            clouds: (B, N, 3), projected in place of the stored clouds, point for point.
            drawn: (B, V) int64, the views to take of each object; by default all in their order.
        """
        if self.config.kind == "rendered":
            return self._pictures(indices, drawn)
        images = self._projected(indices, self.points[indices, :, :3] if clouds is None else clouds)
        if drawn is None:
            return images
        return images[torch.arange(len(images), device=drawn.device)[:, None], drawn]

    def _projected(self, indices: Tensor, clouds: Tensor) -> Tensor:
        if self.config.kind == "projected":
            return project_depth(clouds, self.config.size)
        return project_color(clouds, self.colors[indices], self.config.size)

    @cached_property
    def view_shape(self) -> tuple[int, int, int, int]:
        """Views, channels, height and width of an object's images."""
        views, channels, height, width = self.views(torch.arange(1)).shape[1:]
        return views, channels, height, width

    def expect(self, batches: Sequence[Tensor], ahead: int) -> None:
        """Let workers read the pictures of index batches (b,), which will be asked for next.

        Of each batch, they read this rank's share.

        Args:
            batches: in their order.
            ahead: how many objects' pictures may wait in memory.
        """
        if self.config.kind == "rendered":
            shares = [batch[ranks.share(len(batch))].tolist() for batch in batches]
            self._reader.expect([index for share in shares for index in share], ahead)

    @cached_property
    def colors(self) -> Tensor:
        """Red, green and blue of the points, (n, N, 3) float32 in [0, 1]."""
        colors = np.ascontiguousarray(self.dataset.points[..., 3:6])
        return torch.from_numpy(colors).to(self.points.device)

    def _pictures(self, indices: Tensor, drawn: Tensor | None) -> Tensor:
        pictures = [self._reader(index) for index in indices.tolist()]
        if drawn is not None:
            chosen = zip(pictures, drawn.tolist(), strict=True)
            pictures = [views[order] for views, order in chosen]
        stacked = torch.from_numpy(np.stack(pictures))  # (B, V, H, W, 3)
        images = carried(stacked, self.points.device).permute(0, 1, 4, 2, 3)
        return images.float().div_(255)

    @cached_property
    def _reader(self) -> PictureReader:
        if self.dataset.views is None:
            raise InputError(f"views.kind=rendered: {self.dataset.name} comes without pictures")
        return PictureReader(self.dataset.views, self.config.workers)


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
    train = whole
    if data.fraction < 1:
        train = class_balanced_subset(train, data.fraction, data.subset_seed)
    held = None
    if data.validation > 0:
        train, held = split_validation(train, data.validation, data.subset_seed)
    labelled = _split(train, config, device)
    pool = labelled
    if data.unlabelled:
        needed = max(_taken(config), 6 if config.views.kind == "projected-color" else 3)
        names = whole.channels[:needed]
        joined = with_unlabelled(data.unlabelled, whole, train, held, names)
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
    """Read a split, with its rendered pictures where the teacher sees them."""
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
        data.points,
        cache=data.cache or None,
        per_class=data.per_class if split == "train" else data.per_class // 2,
        channels=data.channels,
        up=data.up,
        test_share=data.test_share,
        seed=data.subset_seed,
    )
    if config.views.kind == "projected-color" and dataset.channels[3:6] != ("r", "g", "b"):
        raise InputError(f"views.kind=projected-color: {dataset.name} has no colours")
    if config.views.kind == "rendered" and config.distillation.uses_images:
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
    points = torch.from_numpy(np.ascontiguousarray(dataset.points[..., :wanted])).to(device)
    labels = torch.from_numpy(dataset.labels).to(device)
    return Split(kept(dataset, config.views, config.data), points, labels, config.views)
