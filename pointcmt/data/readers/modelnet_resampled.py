"""ModelNet as text clouds with normals: `modelnet40_normal_resampled`, the files of PointNet++."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.cache import Cache, Entry
from pointcmt.data.dataset import XYZ_NORMAL, CloudDataset
from pointcmt.data.object_files import ObjectFiles
from pointcmt.data.readers.modelnet40 import (
    MODELNET10_CLASSES,
    MODELNET40_CLASSES,
    MODELNET_CITATION,
    MODELNET_LICENCE,
    MODELNET_PAGE,
)
from pointcmt.data.record import DataSet, Reading, Stored
from pointcmt.data.validate import inside, require_folder, require_points, require_split
from pointcmt.errors import InputError
from pointcmt.fetch.mirrors import HUGGING_FACE, STANFORD, Archive, Mirror
from pointcmt.geometry import XYZ, normalize, read_rows

FOLDER = "modelnet40_normal_resampled"
STORED = 10_000  # points a file
UP = "y"
COLUMNS = 6  # x, y, z, nx, ny, nz


class ModelNetResampled(CloudDataset):
    """ModelNet40 or ModelNet10 from `<class>/<name>.txt`, 10,000 lines `x,y,z,nx,ny,nz` a file.

    The text is parsed once, a class at a time, into a cache of memory-mapped arrays. As PointNet++
    does, the first `points` of each cloud are taken and normalised into the unit sphere.

    Args:
        root: the folder with `modelnet40_train.txt`, or the one that holds
            `modelnet40_normal_resampled`.
        split: `train` or `test`.
        points: how many of the 10,000 points to take.
        classes: 40, or 10 for ModelNet10's lists in the same folder.
        normals: keep the normals as channels 3 to 5.
        cache: where parsed clouds are kept, see `pointcmt.data.cache.Cache`.
        workers: processes that parse files side by side.

    Raises:
        InputError: a file is missing or damaged; the message names the file and the line.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        points: int = 1024,
        *,
        classes: int = 40,
        normals: bool = False,
        cache: Path | str | None = None,
        workers: int = 1,
    ) -> None:
        require_split(split)
        folder = inside(root, FOLDER)
        require_folder(folder, f"the folder {FOLDER}")
        require_points(points, STORED, folder)
        files = _files(folder, split, classes)
        store = Cache(folder, "resampled", cache, workers)
        parsed = files.prepared(store, f"{split}-{classes}", _prepared)  # a class: (n, 10000, 6)
        taken = np.concatenate([a[:, :points, : COLUMNS if normals else 3] for a in parsed])
        super().__init__(
            f"modelnet{classes}-resampled/{split}",
            files.classes,
            normalize(taken, "unit-sphere"),
            files.labels,
            files.ids,
            "unit-sphere",
            XYZ_NORMAL if normals else XYZ,
            UP,
        )


def _prepared(entry: Entry) -> NDArray[np.float32]:
    return read_cloud(entry[1])


def read_cloud(path: Path) -> NDArray[np.float32]:
    """Read one file, (10000, 6).

    Raises:
        InputError: the file is missing, short, or not of six columns of finite numbers.
    """
    rows = read_rows(path)
    if rows.shape != (STORED, COLUMNS):
        raise InputError(
            f"{path}: {rows.shape[0]} lines of {rows.shape[1]} values; {STORED} lines of "
            "x,y,z,nx,ny,nz were expected"
        )
    if not np.isfinite(rows).all():
        line = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0]) + 1
        raise InputError(f"{path}, line {line}: NaN or infinite values; finite ones were expected")
    return rows.astype(np.float32)


def _files(folder: Path, split: str, classes: int) -> ObjectFiles:
    """The objects, as `night_stand/night_stand_0001`, in the order of their list."""
    names = _class_names(folder, classes)
    listing = folder / f"modelnet{classes}_{split}.txt"
    if not listing.is_file():
        raise InputError(f"{listing}: no such file; it lists the objects of the split")
    listed: dict[str, list[Entry]] = {name: [] for name in names}
    for line, one in enumerate(listing.read_text().split(), start=1):
        name = one.rpartition("_")[0]
        if name not in listed:
            raise InputError(f"{listing}, line {line}: {one!r} is of no known class")
        listed[name].append((f"{name}/{one}", folder / name / f"{one}.txt"))
    if not any(listed.values()):
        raise InputError(f"{listing}: lists no objects")
    return ObjectFiles(names, {name: files for name, files in listed.items() if files})


def _class_names(folder: Path, classes: int) -> tuple[str, ...]:
    if classes not in (10, 40):
        raise InputError(f"unknown number of classes {classes}: use one of 40, 10")
    names = MODELNET40_CLASSES if classes == 40 else MODELNET10_CLASSES
    listing = folder / f"modelnet{classes}_shape_names.txt"
    if listing.is_file() and tuple(listing.read_text().split()) != names:
        raise InputError(f"{listing}: does not list the {classes} classes in their order")
    return names


def _lists(root: Path, classes: int) -> bool:
    return (inside(root, FOLDER) / f"modelnet{classes}_train.txt").is_file()


def _open(root: Path, split: str, reading: Reading, classes: int) -> CloudDataset:
    return ModelNetResampled(
        root,
        split,
        reading.points,
        classes=classes,
        normals=True,
        cache=reading.cache,
        workers=reading.workers,
    )


def _stored(root: Path, split: str, _reading: Reading, classes: int) -> Stored:
    files = _files(inside(root, FOLDER), split, classes)
    return files.stored(f"modelnet{classes}-resampled/{split}", read_cloud)


ARCHIVE = Archive(
    folder=FOLDER,
    marker="modelnet40_train.txt",
    page=MODELNET_PAGE,
    mirrors=(
        Mirror(f"{STANFORD}{FOLDER}.zip"),
        Mirror(
            f"{HUGGING_FACE}Pointcept/{FOLDER}-compressed/resolve/main/{FOLDER}.tar.gz",
            "md5:46ed374f8ef5f7504ec4870298772ac2",
        ),
        Mirror(f"{HUGGING_FACE}zhangtao-whu/point_cloud_datasets/resolve/main/pcm/{FOLDER}.zip"),
    ),
    gigabytes=1.8,
)
RECORDS = (
    DataSet(
        name="modelnet40-resampled",
        about="ModelNet40, 12,311 clouds of 10,000 points with normals (text)",
        files="<class>/<name>.txt, modelnet40_{train,test}.txt",
        read=partial(_open, classes=40),
        stored=partial(_stored, classes=40),
        recognise=partial(_lists, classes=40),
        channels=XYZ_NORMAL,
        up=UP,
        citation=MODELNET_CITATION,
        licence=MODELNET_LICENCE,
        counts={"train": 9843, "test": 2468},
        archive=ARCHIVE,
    ),
    DataSet(
        name="modelnet10-resampled",
        about="ModelNet10, 4,899 of the same clouds",
        files="<class>/<name>.txt, modelnet10_{train,test}.txt",
        read=partial(_open, classes=10),
        stored=partial(_stored, classes=10),
        recognise=lambda root: _lists(root, 10) and not _lists(root, 40),
        channels=XYZ_NORMAL,
        up=UP,
        citation=MODELNET_CITATION,
        licence=MODELNET_LICENCE,
        counts={"train": 3991, "test": 908},
        archive=ARCHIVE,
    ),
)
