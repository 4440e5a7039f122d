"""ShapeNetPart from the HDF5 files of PointNet, which hold 2,048 points an object."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.dataset import CloudDataset
from pointcmt.data.hdf5 import read_hdf5, require_clouds
from pointcmt.data.readers.shapenetpart import (
    CITATION,
    COUNTS,
    LICENCE,
    PAGE,
    PART_NAMES,
    SHAPENETPART_CLASSES,
    SPLITS,
    require_parts,
    single_splits,
)
from pointcmt.data.record import DataSet, Reading, stored_arrays
from pointcmt.data.validate import (
    inside,
    require_finite,
    require_folder,
    require_labels,
    require_points,
    require_split,
)
from pointcmt.errors import InputError
from pointcmt.fetch.mirrors import STANFORD, Archive, Mirror
from pointcmt.geometry import XYZ

FOLDER = "hdf5_data"


class ShapeNetPartHDF5(CloudDataset):
    """ShapeNetPart's HDF5 release, `hdf5_data/ply_data_{train,val,test}*.h5`, 2,048 points.

    The files hold `data` (n, 2048, 3), `label` (n, 1) and `pid` (n, 2048), the parts 0 to 49; which
    belong to a split is listed in `{split}_hdf5_file_list.txt`. The first `points` are taken as
    they are.

    Args:
        root: the folder `hdf5_data`, or the one that holds it.
        split: `train`, `val`, `trainval` or `test`.
        points: how many of the stored points to take; None takes all.

    Raises:
        InputError: a file is missing or damaged, or holds NaN or unknown labels.
    """

    def __init__(
        self, root: Path | str, split: str = "trainval", points: int | None = 2048
    ) -> None:
        require_split(split, SPLITS)
        folder = inside(root, FOLDER)
        require_folder(folder, "ShapeNetPart's hdf5_data")
        paths = [path for one in single_splits(split) for path in _hdf5_files(folder, one)]
        clouds, labels, parts = zip(*(_read_hdf5(path, points) for path in paths), strict=True)
        super().__init__(
            f"{RECORD.name}/{split}",
            SHAPENETPART_CLASSES,
            np.concatenate(clouds),
            np.concatenate(labels),
            [
                f"{path.stem}/{i}"
                for path, cloud in zip(paths, clouds, strict=True)
                for i in range(len(cloud))
            ],
            up=RECORD.up,
            parts=np.concatenate(parts),
        )


def _hdf5_files(folder: Path, split: str) -> list[Path]:
    listing = folder / f"{split}_hdf5_file_list.txt"
    if listing.is_file():
        files = [folder / Path(line).name for line in listing.read_text().split()]
    else:
        files = sorted(folder.glob(f"ply_data_{split}*.h5"))
    if not files:
        raise InputError(f"{folder}: has no ply_data_{split}*.h5")
    return files


def _read_hdf5(
    path: Path, points: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    arrays = read_hdf5(path, ("data", "label", "pid"), points)
    data = require_clouds(arrays["data"], path)
    require_points(points, data.shape[1], path)
    require_finite(data, path)
    if arrays["pid"].shape != data.shape[:2]:
        raise InputError(f"{path}: `pid` is {arrays['pid'].shape}, `data` {data.shape}")
    labels = require_labels(arrays["label"], len(SHAPENETPART_CLASSES), path)
    return data, labels, require_parts(arrays["pid"], path)


def _open(root: Path, split: str, reading: Reading) -> CloudDataset:
    return ShapeNetPartHDF5(root, split, reading.points)


RECORD = DataSet(
    name="shapenetpart-hdf5",
    about="ShapeNetPart, 16,881 clouds of 2,048 points with parts (HDF5)",
    files="hdf5_data/ply_data_{train,val,test}*.h5",
    read=_open,
    stored=lambda root, split, _: stored_arrays(ShapeNetPartHDF5(root, split, None)),
    recognise=lambda root: any(inside(root, FOLDER).glob("ply_data_val*.h5")),
    channels=XYZ,
    up="y",
    citation=CITATION,
    licence=LICENCE,
    splits=("train", "val", "test"),
    train="trainval",
    counts=COUNTS,
    archive=Archive(
        folder=FOLDER,
        marker="ply_data_train*.h5",
        page=PAGE,
        mirrors=(Mirror(f"{STANFORD}shapenet_part_seg_hdf5_data.zip"),),
        gigabytes=0.4,
    ),
    parts=PART_NAMES,
)
