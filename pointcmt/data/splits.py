"""Seeded parts of a data set: class-balanced fractions and a validation split."""

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.dataset import CloudDataset
from pointcmt.errors import InputError


def class_balanced_subset(dataset: CloudDataset, fraction: float, seed: int) -> CloudDataset:
    """Draw the same fraction of every class (the paper's Table 3).

    Each class that has clouds gives `round(fraction * size)` of them and at least one, so 2 % of
    ModelNet40's 9,843 training objects are 197. The clouds keep their order.

    Args:
        dataset: any data set.
        fraction: in (0, 1].
        seed: chooses the clouds; the same seed gives the same clouds on every machine.

    Raises:
        ValueError: `fraction` is out of range.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1], not {fraction}")
    chosen = [
        members[: max(1, round(fraction * len(members)))]
        for members in _shuffled_classes(dataset, seed)
    ]
    return dataset.subset(
        np.sort(np.concatenate(chosen)), f"{dataset.name}[{fraction:.4g} per class, seed {seed}]"
    )


def split_validation(
    dataset: CloudDataset, fraction: float = 0.1, seed: int = 0
) -> tuple[CloudDataset, CloudDataset]:
    """Cut a stratified validation split from a training split.

    Each class gives `round(fraction * size)` clouds and at least one to the validation part and
    keeps at least one; a class with a single cloud keeps it.

    Args:
        dataset: the training split.
        fraction: in (0, 1).
        seed: chooses the clouds.

    Returns:
        The remaining training part and the validation part, each in the original order.

    Raises:
        InputError: `fraction` is out of range, or no class has two clouds.
    """
    remaining, held = _cut(dataset, fraction, seed)
    note = f"{fraction:.4g}, seed {seed}"
    return (
        dataset.subset(remaining, f"{dataset.name}[without validation {note}]"),
        dataset.subset(held, f"{dataset.name}[validation {note}]"),
    )


def split_share(
    dataset: CloudDataset, share: float, seed: int
) -> tuple[CloudDataset, CloudDataset]:
    """Part a data set without splits into `train` and `test` as `split_validation` does.

    Args:
        dataset: all objects; its name ends in `/all`.
        share: of the test split, in (0, 1).
        seed: chooses the clouds.

    Returns:
        The training and the test split.

    Raises:
        InputError: `share` is out of range, or no class has two clouds.
    """
    train, test = _cut(dataset, share, seed)
    name, note = dataset.name.rpartition("/")[0], f"[{share:.4g} for test, seed {seed}]"
    return dataset.subset(train, f"{name}/train{note}"), dataset.subset(test, f"{name}/test{note}")


def _cut(
    dataset: CloudDataset, fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the remaining and of the held-out clouds, in order."""
    if not 0 < fraction < 1:
        raise InputError(f"a share must be in (0, 1), not {fraction}")
    held = [
        members[: min(max(1, round(fraction * len(members))), len(members) - 1)]
        for members in _shuffled_classes(dataset, seed)
    ]
    chosen = np.sort(np.concatenate(held))
    if len(chosen) == 0:
        raise InputError(f"{dataset.name}: no class has two clouds to split")
    return np.setdiff1d(np.arange(len(dataset)), chosen), chosen


def _shuffled_classes(dataset: CloudDataset, seed: int) -> list[NDArray[np.int64]]:
    groups = []
    for label in range(len(dataset.classes)):
        members = np.flatnonzero(dataset.labels == label)
        if len(members):
            groups.append(np.random.default_rng((seed, label)).permutation(members))
    return groups
