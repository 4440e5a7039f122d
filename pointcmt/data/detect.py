"""Finding out which data set a folder holds."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pointcmt.data.dataset import CloudDataset
from pointcmt.data.folder import CloudFolder, ModelNetMeshes
from pointcmt.data.modelnet import FOLDER as HDF5_FOLDER
from pointcmt.data.modelnet import MODELNET10_CLASSES, MODELNET40_CLASSES, ModelNet40
from pointcmt.data.resampled import FOLDER as RESAMPLED_FOLDER
from pointcmt.data.resampled import ModelNetResampled
from pointcmt.data.scanobjectnn import VARIANTS, ScanObjectNN
from pointcmt.data.scanobjectnn_raw import FOLDER as RAW_FOLDER
from pointcmt.data.scanobjectnn_raw import LISTING, ScanObjectNNColor
from pointcmt.data.shapenetpart import ShapeNetPart
from pointcmt.data.shapenetpart_hdf5 import ShapeNetPartHDF5
from pointcmt.data.tree import ALL, SPLIT_FOLDERS
from pointcmt.data.validate import require_folder

Opener = Callable[[], CloudDataset]
Opened = dict[str, tuple[Opener, ...]]


def detect(root: Path | str) -> Opened:
    """Recognise the data sets in a folder by the files that only they have.

    Args:
        root: the folder of a release as the classes of `pointcmt.data` take it, or of one's own
            objects.

    Returns:
        What opens each split, by the name of the data set or of its variant; nothing is read yet
        but the names of files.

    Raises:
        InputError: there is no such folder.
    """
    root = Path(root)
    require_folder(root, "a data set")
    for recognise in (_scanobjectnn, _shapenetpart, _modelnet):
        if found := recognise(root):
            return found
    return _tree(root)


def _splits(make: Callable[..., CloudDataset], *splits: str) -> tuple[Opener, ...]:
    return tuple(partial(make, split=split) for split in splits)


def _scanobjectnn(root: Path) -> Opened:
    if (root / LISTING).is_file() or (root / RAW_FOLDER / LISTING).is_file():
        return {
            "scanobjectnn-raw-color": _splits(partial(ScanObjectNNColor, root), "train", "test")
        }
    files = root / "h5_files" if (root / "h5_files").is_dir() else root
    found: Opened = {}
    for name, variant in VARIANTS.items():
        if any((files / variant.folder).glob(f"*_objectdataset{variant.ending}.h5")):
            make = partial(ScanObjectNN, root, variant=name)
            found[f"scanobjectnn-{name.lower()}"] = _splits(make, "train", "test")
    return found


def _shapenetpart(root: Path) -> Opened:
    if (root / "train_test_split").is_dir():
        return {"shapenetpart-normal": _splits(partial(ShapeNetPart, root), "train", "val", "test")}
    folder = root / "hdf5_data" if (root / "hdf5_data").is_dir() else root
    if (folder / "ply_data_val0.h5").is_file():
        return {
            "shapenetpart-hdf5": _splits(partial(ShapeNetPartHDF5, root), "train", "val", "test")
        }
    return {}


def _modelnet(root: Path) -> Opened:
    if (root / HDF5_FOLDER).is_dir() or any(root.glob("ply_data_*.h5")):
        return {"modelnet40-hdf5-2048": _splits(partial(ModelNet40, root), "train", "test")}
    resampled = root / RESAMPLED_FOLDER if (root / RESAMPLED_FOLDER).is_dir() else root
    if (resampled / "modelnet40_train.txt").is_file():
        return {
            "modelnet40-normal-resampled": _splits(
                partial(ModelNetResampled, root), "train", "test"
            )
        }
    folders = {p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")}
    for classes in (MODELNET40_CLASSES, MODELNET10_CLASSES):
        if folders == set(classes) and any(root.glob("chair/train/chair_*.off")):
            make = partial(ModelNetMeshes, root, classes=len(classes))
            return {f"modelnet{len(classes)}-off": _splits(make, "train", "test")}
    return {}


def _tree(root: Path) -> Opened:
    divided = any(path.name in SPLIT_FOLDERS for path in root.glob("*/*"))
    splits = SPLIT_FOLDERS if divided else (ALL,)
    return {root.resolve().name: _splits(partial(CloudFolder, root), *splits)}
