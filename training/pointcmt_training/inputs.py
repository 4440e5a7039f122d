"""What training reads: the splits of a data set as tensors, and the images of its objects."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pointcmt.data import (
    CloudDataset,
    ModelNet40,
    Shapes,
    class_balanced_subset,
    split_validation,
)
from pointcmt.errors import InputError
from pointcmt.views import project_depth
from pointcmt_training.config import Config, DataConfig

DATASETS: dict[str, Callable[[DataConfig, str], CloudDataset]] = {
    "shapes": lambda data, split: Shapes(
        split, data.per_class if split == "train" else data.per_class // 2, data.points
    ),
    "modelnet40": lambda data, split: ModelNet40(data.root, split, data.points),
}


@dataclass(frozen=True)
class Split:
    """One split, on the training device.

    Attributes:
        dataset: where it came from.
        points: (n, N, C) float32.
        labels: (n,) int64.
        view_size: pixels of a projected view; None where the data set's own pictures are used.
    """

    dataset: CloudDataset
    points: Tensor
    labels: Tensor
    view_size: int | None

    def __len__(self) -> int:
        """Return the number of clouds."""
        return len(self.labels)

    def views(self, indices: Tensor, clouds: Tensor | None = None) -> Tensor:
        """Return the images of these objects, (B, V, C, H, W) float32 in [0, 1].

        Args:
            indices: (B,) int64.
            clouds: (B, N, 3), projected in place of the stored clouds.
        """
        if self.view_size is not None:
            chosen = self.points[indices, :, :3] if clouds is None else clouds
            return project_depth(chosen, self.view_size)
        if self.dataset.views is None:
            raise InputError(f"views.kind=rendered: {self.dataset.name} comes without pictures")
        pictures = [torch.from_numpy(self.dataset.views[int(i)]) for i in indices]
        stacked = torch.stack(pictures).to(self.points.device)  # (B, V, H, W, 3)
        return stacked.permute(0, 1, 4, 2, 3).float() / 255


@dataclass(frozen=True)
class Inputs:
    """The splits of a run; `validation` is None where none is held out."""

    train: Split
    validation: Split | None
    test: Split

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
    if data.name not in DATASETS:
        raise InputError(f"data.name={data.name!r}: known are {', '.join(DATASETS)}")
    train, test = DATASETS[data.name](data, "train"), DATASETS[data.name](data, "test")
    if data.fraction < 1:
        train = class_balanced_subset(train, data.fraction, data.subset_seed)
    held = None
    if data.validation > 0:
        train, held = split_validation(train, data.validation, data.subset_seed)
    size = config.views.size if config.views.kind == "projected" else None

    def split(dataset: CloudDataset) -> Split:
        points = torch.from_numpy(dataset.points).to(device)
        return Split(dataset, points, torch.from_numpy(dataset.labels).to(device), size)

    return Inputs(split(train), split(held) if held else None, split(test))
