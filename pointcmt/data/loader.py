"""Batches of a data set as tensors, the same whatever the number of workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pointcmt.data.augment import Augmentation
from pointcmt.data.dataset import CloudDataset


@dataclass(frozen=True)
class Batch:
    """Some samples of a data set.

    Attributes:
        points: (B, N, C) float32.
        labels: (B,) int64.
        indices: (B,) int64, their places in the data set.
        views: (B, V, 3, H, W) uint8, or None where the data set has no pictures.
        parts: (B, N) int64 labels of the points, or None where the data set has none; with these
            an augmentation must not reorder points.
    """

    points: Tensor
    labels: Tensor
    indices: Tensor
    views: Tensor | None
    parts: Tensor | None

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on another device."""
        tensors = {k: v for k, v in vars(self).items() if v is not None}
        return replace(self, **{k: v.to(device, non_blocking=True) for k, v in tensors.items()})


class Batches:
    """An epoch after the other of a data set, in batches.

    Order and augmentation follow from `(seed, epoch)` alone, so a resumed run, or one with another
    number of workers, sees the same batches.

    Args:
        dataset: where the samples come from.
        size: samples a batch.
        seed: decides order and augmentation.
        shuffle: draw a new order each epoch.
        drop_last: leave out a last batch that is smaller than `size`.
        augmentation: applied on `device`, after the transfer.
        workers: processes that read ahead; 0 reads in this one, which is faster unless pictures
            have to be decoded.
        device: where the batches end up.

    Raises:
        ValueError: `size` is below 1, or the augmentation would part points from their labels.
    """

    def __init__(
        self,
        dataset: CloudDataset,
        size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        augmentation: Augmentation | None = None,
        workers: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if size < 1:
            raise ValueError(f"size must be 1 or more, not {size}")
        reorders = augmentation is not None and (augmentation.shuffle or augmentation.dropout > 0)
        if dataset.parts is not None and reorders:
            raise ValueError("shuffle and dropout would part the points from their labels")
        self.dataset, self.size, self.seed = dataset, size, seed
        self.shuffle, self.drop_last = shuffle, drop_last
        self.augmentation, self.workers, self.device = augmentation, workers, device

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.size)
        return whole + (1 if rest and not self.drop_last else 0)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Args:
            number: at least 0.
        """
        loader: DataLoader[Batch] = DataLoader(
            _Gatherer(self.dataset),
            batch_sampler=self._order(number),
            num_workers=self.workers,
            collate_fn=_identity,
        )
        for gathered in loader:
            batch = gathered.to(self.device)
            if self.augmentation is not None:
                points = self.augmentation(batch.points, batch.indices, number, self.seed)
                batch = replace(batch, points=points)
            yield batch

    def _order(self, number: int) -> list[list[int]]:
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng((self.seed, number)).permutation(order)
        starts = range(0, len(self) * self.size, self.size)
        return [order[start : start + self.size].tolist() for start in starts]


class _Gatherer(Dataset[Batch]):
    """The data set as torch's loader reads it: a batch of indices at once."""

    def __init__(self, dataset: CloudDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen, data = np.asarray(indices), self.dataset
        views = None
        if data.views is not None:
            stacked = np.stack([data.views[i] for i in indices])  # (B, V, H, W, 3)
            views = torch.from_numpy(stacked).permute(0, 1, 4, 2, 3)
        return Batch(
            torch.from_numpy(np.asarray(data.points[chosen])),
            torch.from_numpy(data.labels[chosen]),
            torch.from_numpy(chosen),
            views,
            None if data.parts is None else torch.from_numpy(np.asarray(data.parts[chosen])),
        )


def _identity(batch: Any) -> Any:
    """Keep what `__getitems__` gathered: it is a batch already."""
    return batch
