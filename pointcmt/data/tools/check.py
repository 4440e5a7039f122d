"""Checking data sets: counts, classes, values, and clouds that occur twice."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.catalog import CATALOG
from pointcmt.data.dataset import CloudDataset
from pointcmt.data.tools.duplicates import cloud_hashes

SHOWN = 5  # names listed in one message


@dataclass(frozen=True)
class SplitSummary:
    """What one split holds.

    Attributes:
        name: the data set's.
        clouds: how many.
        points: points a cloud.
        channels: names of a point's values.
        classes: clouds of each class.
        fingerprint: sha256 of the content.
    """

    name: str
    clouds: int
    points: int
    channels: tuple[str, ...]
    classes: dict[str, int]
    fingerprint: str


@dataclass(frozen=True)
class CheckReport:
    """The outcome of `check`.

    Attributes:
        splits: what each data set holds.
        problems: what makes the data unfit, one sentence each: values that are not finite, labels
            out of range, a cloud in two splits, splits with different classes.
        notes: what is worth knowing: an unofficial number of clouds, an empty class, a cloud that
            occurs twice in one split, clouds without extent.
    """

    splits: tuple[SplitSummary, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON's types."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        """Return the report as lines for a person."""
        lines = []
        for split in self.splits:
            counts = split.classes.values()
            lines.append(
                f"{split.name}: {split.clouds} clouds of {split.points} points "
                f"({' '.join(split.channels)}), {len(counts)} classes of "
                f"{min(counts)} to {max(counts)} clouds"
            )
        lines += [f"problem: {one}" for one in self.problems]
        lines += [f"note: {one}" for one in self.notes]
        return "\n".join([*lines, "ok" if self.ok else f"{len(self.problems)} problem(s)"])


def check(datasets: Sequence[CloudDataset]) -> CheckReport:
    """Check the splits of one data set, given in any order.

    Two clouds are the same when they hold the same coordinates in any order of the points.

    Args:
        datasets: one or more splits, e.g. train and test.

    Raises:
        ValueError: there is no data set.
    """
    if not datasets:
        raise ValueError("check needs at least one data set")
    problems: list[str] = []
    notes: list[str] = []
    for data in datasets:
        problems += _value_problems(data)
        notes += _count_notes(data)
    if len({data.classes for data in datasets}) > 1:
        problems.append(f"{_join([d.name for d in datasets])} have different class names")
    hashes = [cloud_hashes(data.points) for data in datasets]
    for i, data in enumerate(datasets):
        notes += _repeated(data, hashes[i])
        for j in range(i + 1, len(datasets)):
            problems += _shared(data, hashes[i], datasets[j], hashes[j])
    return CheckReport(tuple(_summary(d) for d in datasets), tuple(problems), tuple(notes))


def _summary(data: CloudDataset) -> SplitSummary:
    counts = np.bincount(_known_labels(data), minlength=len(data.classes))
    classes = {name: int(count) for name, count in zip(data.classes, counts, strict=True)}
    n, points, _ = data.points.shape
    return SplitSummary(data.name, n, points, data.channels, classes, data.fingerprint())


def _known_labels(data: CloudDataset) -> NDArray[np.int64]:
    return data.labels[(data.labels >= 0) & (data.labels < len(data.classes))]


def _value_problems(data: CloudDataset) -> list[str]:
    problems = []
    finite = np.array([bool(np.isfinite(cloud).all()) for cloud in data.points])
    if not finite.all():
        problems.append(_count(data, ~finite, "clouds with NaN or infinite values"))
    outside = (data.labels < 0) | (data.labels >= len(data.classes))
    if outside.any():
        what = f"labels outside 0 to {len(data.classes) - 1}"
        problems.append(_count(data, outside, what))
    return problems


def _count_notes(data: CloudDataset) -> list[str]:
    notes = []
    name, _, split = data.name.rpartition("/")
    official = CATALOG[name].counts.get(split) if name in CATALOG else None
    if official is not None and official != len(data):
        notes.append(f"{data.name}: {len(data)} clouds, the official release has {official}")
    counts = np.bincount(_known_labels(data), minlength=len(data.classes))
    empty = [name for name, count in zip(data.classes, counts, strict=True) if count == 0]
    if empty:
        notes.append(f"{data.name}: no cloud of {_join(empty)}")
    flat = np.array([not np.ptp(cloud[:, :3], axis=0).any() for cloud in data.points])
    if flat.any():
        notes.append(_count(data, flat, "clouds whose points all coincide"))
    return notes


def _repeated(data: CloudDataset, hashes: NDArray[np.uint64]) -> list[str]:
    _, first = np.unique(hashes, return_index=True)
    again = np.ones(len(data), dtype=bool)
    again[first] = False
    if not again.any():
        return []
    return [_count(data, again, "clouds that occurred before in the same split")]


def _shared(
    one: CloudDataset, hashes: NDArray[np.uint64], other: CloudDataset, others: NDArray[np.uint64]
) -> list[str]:
    both = np.isin(hashes, others)
    if not both.any():
        return []
    return [_count(one, both, f"clouds that also occur in {other.name}")]


def _count(data: CloudDataset, chosen: NDArray[np.bool_], what: str) -> str:
    ids = [data.ids[i] for i in np.flatnonzero(chosen).tolist()]
    return f"{data.name}: {len(ids)} {what} ({_join(ids)})"


def _join(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
