"""ShapeNetPart (Yi et al., 2016), 16 categories and 50 parts, from its text release."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.cache import Cache, Entry
from pointcmt.data.dataset import XYZ_NORMAL, CloudDataset
from pointcmt.data.object_files import ObjectFiles
from pointcmt.data.record import DataSet, Reading, Stored
from pointcmt.data.seeds import object_seed
from pointcmt.data.validate import require_folder, require_split
from pointcmt.errors import InputError
from pointcmt.fetch.mirrors import STANFORD, Archive, Mirror
from pointcmt.geometry import XYZ, normalize, read_rows, resample

# The order of `synsetoffset2category.txt` and of the labels in the HDF5 files.
SHAPENETPART_SYNSETS: dict[str, str] = {
    "Airplane": "02691156",
    "Bag": "02773838",
    "Cap": "02954340",
    "Car": "02958343",
    "Chair": "03001627",
    "Earphone": "03261776",
    "Guitar": "03467517",
    "Knife": "03624134",
    "Lamp": "03636649",
    "Laptop": "03642806",
    "Motorbike": "03790512",
    "Mug": "03797390",
    "Pistol": "03948459",
    "Rocket": "04099429",
    "Skateboard": "04225987",
    "Table": "04379243",
}
SHAPENETPART_CLASSES = tuple(SHAPENETPART_SYNSETS)
PART_COUNTS = (4, 2, 2, 4, 4, 3, 3, 2, 4, 2, 6, 2, 3, 3, 3, 3)
PARTS = sum(PART_COUNTS)
_ENDS = tuple(int(end) for end in np.cumsum(PART_COUNTS))
# Category to its part labels, e.g. Airplane to (0, 1, 2, 3).
SHAPENETPART_PARTS: dict[str, tuple[int, ...]] = {
    name: tuple(range(end - count, end))
    for name, count, end in zip(SHAPENETPART_CLASSES, PART_COUNTS, _ENDS, strict=True)
}
# The release gives its parts numbers, no names.
PART_NAMES = {
    name: tuple(f"part {label}" for label in labels) for name, labels in SHAPENETPART_PARTS.items()
}
SPLITS = ("train", "val", "trainval", "test")
COLUMNS = 7  # x y z nx ny nz part


class ShapeNetPart(CloudDataset):
    """ShapeNetPart's text release, `shapenetcore_partanno_segmentation_benchmark_v0_normal`.

    Lines of `<synset>/<id>.txt` are `x y z nx ny nz part`; the split is that of
    `train_test_split/shuffled_{train,val,test}_file_list.json` (12,137, 1,870 and 2,874 objects).
    The clouds have 500 to 3,000 points: they are resampled to `points` and normalised into the unit
    sphere once, and kept in a cache folder. `parts` has the parts 0 to 49 of each point.

    Args:
        root: the folder with the synset folders.
        split: `train`, `val`, `trainval` or `test`.
        points: points a cloud.
        normals: keep the normals as channels 3 to 5.
        seed: decides the resampling.
        cache: where prepared clouds are kept, see `pointcmt.data.cache.Cache`.
        workers: processes that parse files side by side.

    Raises:
        InputError: a file is missing or damaged; the message names the file and the line.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "trainval",
        points: int = 2048,
        *,
        normals: bool = False,
        seed: int = 0,
        cache: Path | str | None = None,
        workers: int = 1,
    ) -> None:
        require_split(split, SPLITS)
        root = Path(root)
        require_folder(root, "ShapeNetPart's text release")
        files = _files(root, split)
        store = Cache(root, f"shapenetpart {points} {seed}", cache, workers)
        prepare = partial(_prepared, points=points, seed=seed)
        rows = np.concatenate(files.prepared(store, split, prepare))  # (n, N, 7)
        super().__init__(
            f"{RECORD.name}/{split}",
            files.classes,
            np.ascontiguousarray(rows[..., : 6 if normals else 3]),
            files.labels,
            files.ids,
            "unit-sphere",
            XYZ_NORMAL if normals else XYZ,
            RECORD.up,
            parts=rows[..., 6].astype(np.int64),
        )


def single_splits(split: str) -> tuple[str, ...]:
    """Return the listed splits of which a split is made."""
    return ("train", "val") if split == "trainval" else (split,)


def _files(root: Path, split: str) -> ObjectFiles:
    """The objects of each category, as `02691156/1a04e3...`, in order of their ids."""
    names = {synset: name for name, synset in SHAPENETPART_SYNSETS.items()}
    listed: dict[str, list[Entry]] = {name: [] for name in SHAPENETPART_CLASSES}
    for one in single_splits(split):
        listing = root / "train_test_split" / f"shuffled_{one}_file_list.json"
        for entry in _entries(listing):
            _, synset, stem = entry.split("/")
            if synset not in names:
                raise InputError(f"{listing}: {entry!r} is of no known category")
            listed[names[synset]].append((f"{synset}/{stem}", root / synset / f"{stem}.txt"))
    return ObjectFiles(
        SHAPENETPART_CLASSES, {name: sorted(files) for name, files in listed.items() if files}
    )


def _entries(listing: Path) -> list[str]:
    """Read a list of `shape_data/<synset>/<id>`."""
    try:
        entries = json.loads(listing.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{listing}: not a readable JSON list ({error})") from error
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{listing}: a list of objects was expected")
    for entry in entries:
        if not isinstance(entry, str) or entry.count("/") != 2 or ".." in entry:
            raise InputError(f"{listing}: {entry!r}; `shape_data/<synset>/<id>` was expected")
    return entries


def _prepared(entry: Entry, points: int, seed: int) -> NDArray[np.float32]:
    path = entry[1]
    cloud = resample(read_object(path), points, object_seed(seed, path.name))
    try:
        return normalize(cloud, "unit-sphere")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_object(path: Path) -> NDArray[np.float32]:
    """Read one file, (N, 7): x, y, z, nx, ny, nz and the part.

    Raises:
        InputError: the file is missing or damaged, or a part is unknown.
    """
    rows = read_rows(path)
    if rows.shape[1] != COLUMNS:
        raise InputError(f"{path}: {rows.shape[1]} values a line; x y z nx ny nz part was expected")
    if not np.isfinite(rows).all():
        line = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0]) + 1
        raise InputError(f"{path}, line {line}: NaN or infinite values; finite ones were expected")
    require_parts(rows[:, 6], path)
    return rows.astype(np.float32)


def require_parts(parts: NDArray[Any], path: Path) -> NDArray[np.int64]:
    """Return part labels as int64, or raise an `InputError` that names a wrong one."""
    known = np.isin(parts, np.arange(PARTS))
    if not known.all():
        wrong = parts[~known].flat[0]
        raise InputError(f"{path}: part label {wrong}; they must be 0 to {PARTS - 1}")
    return parts.astype(np.int64)


def _open(root: Path, split: str, reading: Reading) -> CloudDataset:
    return ShapeNetPart(
        root, split, reading.points, normals=True, cache=reading.cache, workers=reading.workers
    )


def _stored(root: Path, split: str, _reading: Reading) -> Stored:
    return _files(root, split).stored(f"{RECORD.name}/{split}", read_object)


CITATION = "Yi et al., A Scalable Active Framework for Region Annotation, SIGGRAPH Asia 2016"
LICENCE = "ShapeNet's terms of use: research and education only"
PAGE = "https://shapenet.org"
COUNTS = {"train": 12137, "val": 1870, "test": 2874}
FOLDER = "shapenetcore_partanno_segmentation_benchmark_v0_normal"
RECORD = DataSet(
    name="shapenetpart",
    about="ShapeNetPart, 16,881 clouds with normals and parts (text)",
    files="<synset>/<id>.txt, train_test_split/*.json",
    read=_open,
    stored=_stored,
    recognise=lambda root: (root / "train_test_split").is_dir(),
    channels=XYZ_NORMAL,
    up="y",
    citation=CITATION,
    licence=LICENCE,
    splits=("train", "val", "test"),
    train="trainval",
    counts=COUNTS,
    archive=Archive(
        folder=FOLDER,
        marker="synsetoffset2category.txt",
        page=PAGE,
        mirrors=(Mirror(f"{STANFORD}{FOLDER}.zip"),),
        gigabytes=0.8,
    ),
    parts=PART_NAMES,
)
