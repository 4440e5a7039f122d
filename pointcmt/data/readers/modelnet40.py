"""ModelNet40 as HDF5 clouds: `modelnet40_ply_hdf5_2048`, the files of PointNet and the paper."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.dataset import CloudDataset
from pointcmt.data.hdf5 import read_hdf5, require_clouds
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
from pointcmt.fetch.mirrors import HUGGING_FACE, STANFORD, Archive, Mirror
from pointcmt.geometry import XYZ

MODELNET40_CLASSES: tuple[str, ...] = (
    *("airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair"),
    *("cone", "cup", "curtain", "desk", "door", "dresser", "flower_pot", "glass_box", "guitar"),
    *("keyboard", "lamp", "laptop", "mantel", "monitor", "night_stand", "person", "piano"),
    *("plant", "radio", "range_hood", "sink", "sofa", "stairs", "stool", "table", "tent"),
    *("toilet", "tv_stand", "vase", "wardrobe", "xbox"),
)
MODELNET10_CLASSES: tuple[str, ...] = (
    *("bathtub", "bed", "chair", "desk", "dresser", "monitor", "night_stand", "sofa", "table"),
    "toilet",
)
FOLDER = "modelnet40_ply_hdf5_2048"
LISTING = "{}_files.txt"  # of a split's files, which official archives hold
MODELNET_PAGE = "https://modelnet.cs.princeton.edu"
MODELNET_CITATION = "Wu et al., 3D ShapeNets, CVPR 2015"
MODELNET_LICENCE = "academic use only, the CAD models belong to their authors"


class ModelNet40(CloudDataset):
    """ModelNet40 clouds from `ply_data_{train,test}*.h5` (officially 9,840 and 2,468 clouds).

    The coordinates are those of the files: each stored cloud of 2,048 points sampled from the
    mesh was centred and scaled into the unit sphere by its authors. As the published protocols
    do, the first `points` of each cloud are taken and not normalised again.

    Args:
        root: the folder with the `.h5` files, or the folder that holds `modelnet40_ply_hdf5_2048`.
        split: `train` or `test`.
        points: how many of the stored points to take; None takes all.

    Raises:
        InputError: a file is missing, not HDF5 or truncated, holds NaN, labels outside the 40
            classes or fewer than `points` points.
    """

    def __init__(self, root: Path | str, split: str = "train", points: int | None = 1024) -> None:
        require_split(split)
        folder = inside(root, FOLDER)
        require_folder(folder, f"the folder {FOLDER} with its .h5 files")
        _require_classes(folder)
        clouds, labels, ids = [], [], []
        for path in _files(folder, split):
            data, label = _read(path, points)
            clouds.append(data)
            labels.append(label)
            ids.extend(_ids(path, len(data)))
        stored = np.concatenate(clouds)  # (n, N, 3)
        super().__init__(
            f"{RECORD.name}/{split}",
            MODELNET40_CLASSES,
            stored,
            np.concatenate(labels),
            ids,
            up=RECORD.up,
        )


def _read(path: Path, points: int | None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    arrays = read_hdf5(path, ("data", "label"), points)
    data = require_clouds(arrays["data"], path)
    require_points(points, data.shape[1], path)
    require_finite(data, path)
    return data, require_labels(arrays["label"], len(MODELNET40_CLASSES), path)


def _files(folder: Path, split: str) -> list[Path]:
    """The files named in `{split}_files.txt` (their order counts), else all that are there."""
    names = _listed(folder, split)
    if names is None:
        names = sorted(path.name for path in folder.glob(f"ply_data_{split}*.h5"))
    if not names:
        raise InputError(f"{folder}: has no ply_data_{split}*.h5; unpack {FOLDER} there")
    other = "train" if split == "test" else "test"
    if shared := set(names) & set(_listed(folder, other) or ()):
        raise InputError(f"{folder}: {min(shared)} stands in train_files.txt and in test_files.txt")
    return [folder / name for name in names]


def _listed(folder: Path, split: str) -> list[str] | None:
    """The names in `{split}_files.txt`, None without it."""
    listing = folder / LISTING.format(split)
    if not listing.is_file():
        return None
    return [Path(line.strip()).name for line in listing.read_text().splitlines() if line.strip()]


def _ids(path: Path, count: int) -> list[str]:
    """Names such as `chair/chair_0001` from the `_id2file.json` beside the HDF5 file, if any."""
    stem, number = path.stem.rstrip("0123456789"), path.stem[len(path.stem.rstrip("0123456789")) :]
    names = path.with_name(f"{stem}_{number}_id2file.json")
    if not names.is_file():
        return [f"{path.stem}/{i}" for i in range(count)]
    try:
        listed = json.loads(names.read_text())
        ids = [str(Path(name).with_suffix("")) for name in listed]
    except (ValueError, TypeError) as error:
        raise InputError(f"{names}: not a JSON list of file names ({error})") from error
    if len(ids) != count:
        raise InputError(f"{names}: names {len(ids)} objects, but {path.name} holds {count} clouds")
    return ids


def _require_classes(folder: Path) -> None:
    listing = folder / "shape_names.txt"
    if listing.is_file() and tuple(listing.read_text().split()) != MODELNET40_CLASSES:
        raise InputError(f"{listing}: does not list the 40 classes of ModelNet40 in their order")


def _recognise(root: Path) -> bool:
    return (root / FOLDER).is_dir() or (
        any(root.glob("ply_data_*.h5")) and not any(root.glob("ply_data_val*.h5"))
    )


def _open(root: Path, split: str, reading: Reading) -> CloudDataset:
    return ModelNet40(root, split, reading.points)


RECORD = DataSet(
    name="modelnet40",
    about="ModelNet40, 12,308 clouds of 2,048 points (HDF5)",
    files="ply_data_{train,test}*.h5",
    read=_open,
    stored=lambda root, split, _: stored_arrays(ModelNet40(root, split, None)),
    recognise=_recognise,
    channels=XYZ,
    up="y",
    citation=MODELNET_CITATION,
    licence=MODELNET_LICENCE,
    counts={"train": 9840, "test": 2468},  # three objects fewer than the meshes
    archive=Archive(
        folder=FOLDER,
        marker="ply_data_train*.h5",
        page=MODELNET_PAGE,
        mirrors=(
            Mirror(f"{STANFORD}{FOLDER}.zip", "md5:c9ab8e6dfb16f67afdab25e155c79e59"),
            Mirror(
                f"{HUGGING_FACE}Msun/modelnet40/resolve/main/{FOLDER}.zip",
                "md5:5ae9e37d1527ff1500e41a7e9e2d50e4",
            ),
            Mirror(
                "https://github.com/ma-xu/pointMLP-pytorch/releases/download/Modenet40_dataset/"
                f"{FOLDER}.zip"
            ),
            Mirror(
                f"{HUGGING_FACE}zhangtao-whu/point_cloud_datasets/resolve/main/pcm/{FOLDER}.zip"
            ),
        ),
        gigabytes=0.5,
    ),
)
