"""The catalogue: every data set under the one name that recipes, commands and documents use."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pointcmt.data.dataset import CloudDataset
from pointcmt.data.readers import (
    folder,
    modelnet40,
    modelnet_meshes,
    modelnet_resampled,
    rendered,
    scanobjectnn,
    scanobjectnn_color,
    shapenetpart,
    shapenetpart_hdf5,
    shapes,
)
from pointcmt.data.record import DataSet, Reading
from pointcmt.data.validate import require_folder, require_split
from pointcmt.errors import InputError
from pointcmt.fetch.mirrors import Archive
from pointcmt.geometry import XYZ

RECORDS = (
    shapes.RECORD,
    modelnet40.RECORD,
    *modelnet_resampled.RECORDS,
    *modelnet_meshes.RECORDS,
    *scanobjectnn.RECORDS,
    scanobjectnn_color.RECORD,
    shapenetpart.RECORD,
    shapenetpart_hdf5.RECORD,
    folder.RECORD,  # recognises any folder of folders, so it comes last
)
CATALOG: Mapping[str, DataSet] = MappingProxyType({record.name: record for record in RECORDS})
PICTURES: Mapping[str, Archive] = MappingProxyType({rendered.NAME: rendered.ARCHIVE})


class Reference(NamedTuple):
    """A data set as a command names it: `NAME`, `NAME:FOLDER` or `shapes:PER_CLASS`.

    Attributes:
        data: the record.
        root: its folder; meaningless for an embedded set.
        per_class: objects a class of an embedded set, or None for the default.
    """

    data: DataSet
    root: Path
    per_class: int | None = None


def find(name: str) -> DataSet:
    """Return the record of a data set.

    Raises:
        InputError: no such data set; the message lists all.
    """
    if name not in CATALOG:
        raise InputError(f"unknown data set {name!r}: use one of {', '.join(CATALOG)}")
    return CATALOG[name]


def parse_reference(text: str) -> Reference:
    """Parse `NAME:FOLDER`, or `NAME` and `NAME:PER_CLASS` for an embedded data set.

    Raises:
        InputError: the name is unknown, or the folder is missing from the text.
    """
    name, _, rest = text.partition(":")
    data = find(name)
    if data.embedded:
        if rest and not rest.isdecimal():
            raise InputError(f"{text}: use {name}, or {name}:PER_CLASS with a number of objects")
        return Reference(data, Path(), int(rest) if rest else None)
    if not rest:
        raise InputError(f"{text}: add the folder of the data set, {name}:FOLDER")
    return Reference(data, Path(rest))


def open_dataset(
    name: str,
    root: Path | str,
    split: str,
    points: int = 1024,
    *,
    cache: Path | str | None = None,
    workers: int = 1,
    per_class: int | None = None,
    channels: Sequence[str] = XYZ,
    up: str | None = None,
    test_share: float = 0.0,
    seed: int = 0,
) -> CloudDataset:
    """Read one split of a data set.

    Args:
        name: a key of `CATALOG`.
        root: its folder; an embedded set needs none.
        split: one of the record's splits, or its `train`.
        points: points a cloud.
        cache: folder for prepared clouds, where the data set needs preparing.
        workers: processes that prepare files side by side.
        per_class: embedded shapes only: objects a class.
        channels: a folder of one's own only: the columns to read, by name.
        up: a folder of one's own only: the vertical axis of files that do not state theirs.
        test_share: a folder of one's own without splits only: the test split's share of each class.
        seed: draws this share.

    Returns:
        Clouds (n, points, C) with the record's channels, or those that were named.

    Raises:
        InputError: the name or the split is unknown, or the data are missing or damaged.
    """
    data = find(name)
    require_split(split, tuple(dict.fromkeys((*data.splits, data.train))))
    place = Path(cache) if cache else None
    reading = Reading(points, place, workers, per_class, tuple(channels), up, test_share, seed)
    return data.read(Path(root), split, reading)


def recognise(root: Path | str) -> tuple[DataSet, ...]:
    """Return the data sets that a folder holds, told by the names of files alone.

    A folder of one's own is one of them only if no release is recognised.

    Raises:
        InputError: there is no such folder, or it holds nothing that any reader knows.
    """
    root = Path(root)
    require_folder(root, "a data set")
    *releases, own = CATALOG.values()
    found = tuple(data for data in releases if data.recognise(root))
    if not found and not own.recognise(root):
        raise InputError(f"{root}: has no folders; one for each class was expected")
    return found or (own,)
