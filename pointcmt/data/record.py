"""What the catalogue says of a data set: one frozen record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.dataset import CloudDataset
from pointcmt.fetch.mirrors import Archive
from pointcmt.geometry import XYZ
from pointcmt.parts import Parts


@dataclass(frozen=True)
class Reading:
    """How a data set is read.

    Attributes:
        points: points a cloud.
        cache: folder for prepared clouds, where the data set needs preparing; None takes
            `pointcmt.files.cache_folder`.
        workers: processes that prepare files side by side.
        per_class: embedded shapes only: objects a class; None takes the default.
        channels: a folder of one's own only: the columns to read, by name.
        up: a folder of one's own only: the vertical axis of files that do not state theirs.
        test_share: a folder of one's own without splits only: the share of each class that is
            the test split; 0 for none.
        seed: draws this share.
    """

    points: int = 1024
    cache: Path | None = None
    workers: int = 1
    per_class: int | None = None
    channels: tuple[str, ...] = XYZ
    up: str | None = None
    test_share: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class StoredObject:
    """One object as its file holds it.

    Attributes:
        id: unique in the split.
        label: index of its class.
        load: reads all its points, or a mesh's vertices, (N, C), or raises `InputError`.
    """

    id: str
    label: int
    load: Callable[[], NDArray[np.float32]]


@dataclass(frozen=True)
class Stored:
    """A split as its files hold it: clouds may differ in size, and nothing is read yet."""

    name: str
    classes: tuple[str, ...]
    objects: Sequence[StoredObject]


Read = Callable[[Path, str, Reading], CloudDataset]  # folder, split, how


def stored_arrays(data: CloudDataset) -> Stored:
    """Return a data set that was read with all its points as `Stored`."""
    rows = zip(data.ids, data.labels, data.points, strict=True)
    objects = [StoredObject(one, int(label), partial(_as_is, row)) for one, label, row in rows]
    return Stored(data.name, data.classes, objects)


def _as_is(points: NDArray[np.float32]) -> NDArray[np.float32]:
    return points


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: what recipes, commands and documents call it.
        about: one line.
        files: what the reader reads, for the documents; empty for an embedded set.
        read: reads one split.
        stored: gives one split as its files hold it.
        recognise: tells whether a folder holds the data set, from the names of files alone.
        channels: names of a point's values as training reads them, x, y and z first; a folder of
            one's own may give others.
        up: the vertical axis of the clouds, "y" or "z"; None where files differ or nobody says.
        citation: the publication.
        licence: the terms in a few words.
        splits: that a release has.
        train: the split that training reads.
        counts: official clouds of each split; empty where there is no official number.
        archive: where it can be had, or None.
        parts: names of each class's parts, where points are labelled with them; they are numbered
            as `pointcmt.parts` says.
    """

    name: str
    about: str
    files: str
    read: Read
    stored: Callable[[Path, str, Reading], Stored]
    recognise: Callable[[Path], bool]
    channels: tuple[str, ...]
    up: str | None
    citation: str
    licence: str
    splits: tuple[str, ...] = ("train", "test")
    train: str = "train"
    counts: Mapping[str, int] = field(default_factory=dict)
    archive: Archive | None = None
    parts: Parts = field(default_factory=dict)

    @property
    def embedded(self) -> bool:
        """Whether the data set is generated and needs no folder."""
        return not self.files
