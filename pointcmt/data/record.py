"""What the catalogue says of a data set: one frozen record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pointcmt.data.dataset import CloudDataset
from pointcmt.fetch.mirrors import Archive


@dataclass(frozen=True)
class Reading:
    """How a data set is read.

    Attributes:
        points: points a cloud.
        cache: folder for prepared clouds, where the data set needs preparing; None takes the
            default of `pointcmt.data.tools.cache`.
        workers: processes that prepare files side by side.
        per_class: embedded shapes only: objects a class; None takes the default.
    """

    points: int = 1024
    cache: Path | None = None
    workers: int = 1
    per_class: int | None = None


Read = Callable[[Path, str, Reading], CloudDataset]  # folder, split, how


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: what recipes, commands and documents call it.
        about: one line.
        files: what the reader reads, for the documents; empty for an embedded set.
        read: reads one split.
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
    """

    name: str
    about: str
    files: str
    read: Read
    recognise: Callable[[Path], bool]
    channels: tuple[str, ...]
    up: str | None
    citation: str
    licence: str
    splits: tuple[str, ...] = ("train", "test")
    train: str = "train"
    counts: Mapping[str, int] = field(default_factory=dict)
    archive: Archive | None = None

    @property
    def embedded(self) -> bool:
        """Whether the data set is generated and needs no folder."""
        return not self.files
