"""ScanObjectNN (Uy et al., ICCV 2019) from its official HDF5 files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pointcmt.data.dataset import CloudDataset
from pointcmt.data.hdf5 import read_hdf5, require_clouds
from pointcmt.data.record import DataSet, Reading, Stored, stored_arrays
from pointcmt.data.validate import (
    inside,
    require_finite,
    require_folder,
    require_labels,
    require_points,
    require_split,
)
from pointcmt.errors import InputError
from pointcmt.fetch.mirrors import Archive, Mirror
from pointcmt.geometry import XYZ, normalize

SCANOBJECTNN_CLASSES: tuple[str, ...] = (
    *("bag", "bin", "box", "cabinet", "chair", "desk", "display", "door", "shelf", "table"),
    *("bed", "pillow", "sink", "sofa", "toilet"),
)
FOLDER = "h5_files"
UP = "y"
BACKGROUND = -1  # in the files' masks; the object's points hold its number


@dataclass(frozen=True)
class Variant:
    """Where a variant's files are: `<folder>/{training,test}_objectdataset<ending>.h5`."""

    folder: str
    ending: str
    train: int  # official clouds
    test: int


VARIANTS = {
    "OBJ_ONLY": Variant("main_split_nobg", "", 2309, 581),
    "OBJ_BG": Variant("main_split", "", 2309, 581),
    "PB_T50_RS": Variant("main_split", "_augmentedrot_scale75", 11416, 2882),
}
FILE_SPLITS = {"train": "training", "test": "test"}


class ScanObjectNN(CloudDataset):
    """ScanObjectNN's 15 classes of scanned objects, 2,048 points each.

    `OBJ_ONLY` (2,309 + 581 objects) has the object alone, `OBJ_BG` the same with its background,
    `PB_T50_RS` (11,416 + 2,882) the hardest perturbation: translated by up to half the box, turned
    and scaled. Where the file has a mask, `parts` is 1 for the object and 0 for the background.

    As the authors' training code does, each cloud of the first `points` is centred and scaled into
    the unit sphere; `normalization="none"` keeps the files' coordinates (metres, y up).

    Args:
        root: the folder `h5_files` with `main_split` and `main_split_nobg`, or the one that holds
            it.
        split: `train` or `test`.
        variant: `OBJ_ONLY`, `OBJ_BG` or `PB_T50_RS`.
        points: how many of the stored points to take; None takes all.
        normalization: one of `pointcmt.geometry.NORMALIZATIONS`.

    Raises:
        InputError: the file is missing or damaged, or holds NaN or unknown labels.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        variant: str = "PB_T50_RS",
        points: int | None = 1024,
        normalization: str = "unit-sphere",
    ) -> None:
        require_split(split)
        if variant not in VARIANTS:
            raise InputError(f"unknown variant {variant!r}: use one of {', '.join(VARIANTS)}")
        path = _file(Path(root), split, VARIANTS[variant])
        arrays = read_hdf5(path, ("data", "label"), points, optional=("mask",))
        data = require_clouds(arrays["data"], path)
        require_points(points, data.shape[1], path)
        require_finite(data, path)
        labels = require_labels(arrays["label"], len(SCANOBJECTNN_CLASSES), path)
        parts = None
        if "mask" in arrays:
            parts = (arrays["mask"] != BACKGROUND).astype(np.int64)  # (n, N)
            if parts.shape != data.shape[:2]:
                raise InputError(f"{path}: `mask` is {parts.shape}, `data` {data.shape}")
        super().__init__(
            f"{_name(variant)}/{split}",
            SCANOBJECTNN_CLASSES,
            normalize(data, normalization),
            labels,
            [f"{path.stem}/{i}" for i in range(len(data))],
            normalization,
            up=UP,
            parts=parts,
        )


def _file(root: Path, split: str, variant: Variant) -> Path:
    folder = inside(root, FOLDER)
    require_folder(folder / variant.folder, "ScanObjectNN's HDF5 files")
    return folder / variant.folder / f"{FILE_SPLITS[split]}_objectdataset{variant.ending}.h5"


def _name(variant: str) -> str:
    return f"scanobjectnn-{variant.lower().replace('_', '-')}"


def _recognise(root: Path, variant: Variant) -> bool:
    files = inside(root, FOLDER) / variant.folder
    return any(files.glob(f"*_objectdataset{variant.ending}.h5"))


def _open(root: Path, split: str, reading: Reading, variant: str) -> CloudDataset:
    return ScanObjectNN(root, split, variant, reading.points)


def _stored(root: Path, split: str, _reading: Reading, variant: str) -> Stored:
    return stored_arrays(ScanObjectNN(root, split, variant, None, "none"))


CITATION = "Uy et al., Revisiting Point Cloud Classification, ICCV 2019"
LICENCE = "its authors' terms of use; they ask you to fill in a form first"
PAGE = "https://hkust-vgd.github.io/scanobjectnn/"
ABOUT = {
    "OBJ_ONLY": "ScanObjectNN, 2,890 scanned objects alone (HDF5)",
    "OBJ_BG": "ScanObjectNN, the same objects with their background (HDF5)",
    "PB_T50_RS": "ScanObjectNN, the hardest variant, 14,298 perturbed clouds (HDF5)",
}
RECORDS = tuple(
    DataSet(
        name=_name(name),
        about=ABOUT[name],
        files=f"{one.folder}/{{training,test}}_objectdataset{one.ending}.h5",
        read=partial(_open, variant=name),
        stored=partial(_stored, variant=name),
        recognise=partial(_recognise, variant=one),
        channels=XYZ,
        up=UP,
        citation=CITATION,
        licence=LICENCE,
        counts={"train": one.train, "test": one.test},
        archive=Archive(
            folder=FOLDER,
            marker="main_split/*.h5",
            page=PAGE,
            mirrors=(
                Mirror(
                    "https://hkust-vgd.ust.hk/scanobjectnn/h5_files.zip",
                    "md5:36876af479f9ad39abad5ebcd89038dd",
                ),
            ),
            gigabytes=13.2,
        ),
    )
    for name, one in VARIANTS.items()
)
