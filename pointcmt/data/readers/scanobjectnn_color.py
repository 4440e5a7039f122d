"""ScanObjectNN's raw objects with colour, `object_dataset/<class>/<name>.bin`."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.cache import Cache, Entry
from pointcmt.data.dataset import XYZ_RGB, CloudDataset
from pointcmt.data.object_files import ObjectFiles
from pointcmt.data.readers.scanobjectnn import CITATION, LICENCE, PAGE, SCANOBJECTNN_CLASSES
from pointcmt.data.record import DataSet, Reading, Stored
from pointcmt.data.seeds import object_seed
from pointcmt.data.validate import inside, require_folder, require_split
from pointcmt.errors import InputError
from pointcmt.fetch.mirrors import Archive, Mirror
from pointcmt.geometry import normalize, resample

FOLDER = "object_dataset"
LISTING = "split_new.txt"
COLUMNS = 11  # x y z, nx ny nz, r g b, instance, semantic class
UNLABELLED = (0, 1, 2)  # semantic classes that are not objects: none, wall, floor


class ScanObjectNNColor(CloudDataset):
    """The original scanned objects with colour, for the projection with colour (paper, Table 6).

    A `.bin` file is float32: the number of points, then 11 values a point. The split is that of
    `split_new.txt`, whose lines are `<name>.bin`, the class number and, for test objects, `t`.
    Clouds are resampled to `points` and normalised into the unit sphere; the channels are x, y, z
    and r, g, b in [0, 1].

    Args:
        root: the folder `object_dataset` with its class folders, or the one that holds it.
        split: `train` or `test`.
        points: points a cloud.
        background: keep what surrounds the object; without, its most frequent semantic class that
            is not wall or floor is kept, as the authors' reader does.
        seed: decides the resampling.
        cache: where prepared clouds are kept, see `pointcmt.data.cache.Cache`.
        workers: processes that read files side by side.

    Raises:
        InputError: a file is missing, truncated, of another format, or has no object.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        points: int = 1024,
        *,
        background: bool = False,
        seed: int = 0,
        cache: Path | str | None = None,
        workers: int = 1,
    ) -> None:
        require_split(split)
        folder = inside(root, FOLDER)
        require_folder(folder, f"the folder {FOLDER}")
        files = _files(folder, split)
        variant = "obj_bg" if background else "obj_only"
        store = Cache(folder, f"{variant} {points} {seed}", cache, workers)
        prepare = partial(_prepared, points=points, background=background, seed=seed)
        super().__init__(
            f"{RECORD.name}{'-background' if background else ''}/{split}",
            files.classes,
            np.concatenate(files.prepared(store, split, prepare)),
            files.labels,
            files.ids,
            "unit-sphere",
            XYZ_RGB,
        )


def read_object(path: Path, background: bool = True) -> NDArray[np.float32]:
    """Read one `.bin` file, (N, 6): x, y, z in metres and r, g, b in [0, 1].

    Raises:
        InputError: the file is missing, truncated or of another format, or has no object.
    """
    try:
        flat = np.fromfile(path, dtype="<f4")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(flat) < 1 + COLUMNS or (len(flat) - 1) != flat[0] * COLUMNS:
        raise InputError(
            f"{path}: {len(flat)} values; the number of points and {COLUMNS} values for each were "
            "expected, so the file is truncated or of another format"
        )
    rows = flat[1:].reshape(-1, COLUMNS)
    if not background:
        rows = _object_alone(rows, path)
    cloud: NDArray[np.float32] = rows[:, [0, 1, 2, 6, 7, 8]]
    if not np.isfinite(cloud).all():
        raise InputError(f"{path}: has NaN or infinite values; finite ones were expected")
    colors = cloud[:, 3:]  # a view
    if colors.max(initial=0) > 1:  # 0 to 255
        colors /= 255
    return cloud


def _object_alone(rows: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    semantic = rows[:, -1].astype(np.int64)
    names, counts = np.unique(semantic[~np.isin(semantic, UNLABELLED)], return_counts=True)
    if len(names) == 0:
        raise InputError(f"{path}: no point is labelled as an object; read it with its background")
    alone: NDArray[np.float32] = rows[semantic == names[counts.argmax()]]
    return alone


def _prepared(entry: Entry, points: int, background: bool, seed: int) -> NDArray[np.float32]:
    path = entry[1]
    cloud = resample(read_object(path, background), points, object_seed(seed, path.name))
    try:
        return normalize(cloud, "unit-sphere")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _files(folder: Path, split: str) -> ObjectFiles:
    """The `.bin` files of a split, with ids such as `chair/scene_1`."""
    listing = folder / LISTING
    if not listing.is_file():
        raise InputError(f"{listing}: no such file; it lists the objects and their split")
    listed: dict[str, list[Entry]] = {name: [] for name in SCANOBJECTNN_CLASSES}
    for number, line in enumerate(listing.read_text().splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        name, label, test = _entry(words, f"{listing}, line {number}")
        if test == (split == "test"):
            kind = SCANOBJECTNN_CLASSES[label]
            listed[kind].append((f"{kind}/{Path(name).stem}", folder / kind / name))
    found = {name: files for name, files in listed.items() if files}
    if not found:
        raise InputError(f"{listing}: lists no object of split {split!r}")
    return ObjectFiles(SCANOBJECTNN_CLASSES, found)


def _entry(words: list[str], where: str) -> tuple[str, int, bool]:
    """Parse `<name>.bin <class> [t]`."""
    name, label, mark = words[0], "".join(words[1:2]), words[2:]
    known = {str(i) for i in range(len(SCANOBJECTNN_CLASSES))}
    plain = Path(name).name == name and name.endswith(".bin")
    if not plain or label not in known or mark not in ([], ["t"]):
        raise InputError(f"{where}: {' '.join(words)!r}; `<name>.bin <0 to 14> [t]` was expected")
    return name, int(label), mark == ["t"]


def _open(root: Path, split: str, reading: Reading) -> CloudDataset:
    return ScanObjectNNColor(
        root, split, reading.points, cache=reading.cache, workers=reading.workers
    )


def _stored(root: Path, split: str, _reading: Reading) -> Stored:
    return _files(inside(root, FOLDER), split).stored(f"{RECORD.name}/{split}", read_object)


RECORD = DataSet(
    name="scanobjectnn-color",
    about="ScanObjectNN, 2,902 raw objects with colour (.bin)",
    files="<class>/<name>.bin, split_new.txt",
    read=_open,
    stored=_stored,
    recognise=lambda root: (inside(root, FOLDER) / LISTING).is_file(),
    channels=XYZ_RGB,
    up=None,
    citation=CITATION,
    licence=LICENCE,
    archive=Archive(
        folder=FOLDER,
        marker="*/*.bin",
        page=PAGE,
        mirrors=(Mirror("https://hkust-vgd.ust.hk/scanobjectnn/raw/object_dataset.zip"),),
        gigabytes=None,
    ),
)
