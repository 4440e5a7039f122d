"""A folder of one's own: meshes or clouds in class folders."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.cache import Cache, Entry
from pointcmt.data.dataset import CloudDataset
from pointcmt.data.record import DataSet, Reading, Stored
from pointcmt.data.seeds import object_seed
from pointcmt.data.splits import split_share
from pointcmt.data.tree import ALL, SPLIT_FOLDERS, read_tree, split_names
from pointcmt.data.validate import require_known
from pointcmt.errors import InputError
from pointcmt.files import is_foreign
from pointcmt.geometry import (
    AXES,
    MESH_SUFFIXES,
    NORMALIZATIONS,
    SUFFIXES,
    XYZ,
    normalize,
    read_cloud,
    read_mesh,
    require_cloud,
    sample_mesh,
    turn,
)


class CloudFolder(CloudDataset):
    """A folder of one's own, meshes or clouds: `<class>/<split>/<object>` and the like.

    The layouts are those of `pointcmt.data.tree.read_tree`, the formats those of
    `pointcmt.geometry.read_cloud`. Meshes are sampled uniformly by area, clouds resampled. They are
    prepared once and kept in a cache folder.

    Args:
        root: the folder; the classes are numbered alphabetically.
        split: `train`, `val`, `test`, or `all` for all objects.
        points: points a cloud.
        channels: the columns, by name: x, y and z first. Meshes have normals, nx ny nz.
        up: the vertical axis of the files that do not state theirs; the others are turned to it.
        seed: decides the sampling.
        normalization: one of `pointcmt.geometry.NORMALIZATIONS`.
        name: of the data set; by default the folder's.
        cache: where prepared clouds are kept, see `pointcmt.data.cache.Cache`.
        workers: processes that prepare files side by side.

    Raises:
        InputError: a folder is missing, a file is unusable, or a setting is unknown.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        points: int = 1024,
        *,
        channels: Sequence[str] = XYZ,
        up: str | None = None,
        seed: int = 0,
        normalization: str = "unit-sphere",
        name: str | None = None,
        cache: Path | str | None = None,
        workers: int = 1,
    ) -> None:
        root = Path(root)
        require_known("normalisation", normalization, NORMALIZATIONS)
        require_known("vertical axis", up, (None, *AXES))
        require_told_apart(root)
        files = read_tree(root, split, SUFFIXES)
        settings = f"folder {points} {' '.join(channels)} {up} {seed} {normalization}"
        prepare = partial(
            _cloud,
            points=points,
            channels=tuple(channels),
            up=up,
            seed=seed,
            rule=normalization,
        )
        store = Cache(root, settings, cache, workers)
        super().__init__(
            f"{name or root.resolve().name}/{split}",
            files.classes,
            np.concatenate(files.prepared(store, split, prepare)),
            files.labels,
            files.ids,
            normalization,
            channels,
            up or _up(files.paths),
        )


def require_told_apart(root: Path) -> None:
    """Refuse a class folder that is named as a split, where no class has folders for splits.

    Raises:
        InputError: there is such a folder, or no folder at all.
    """
    if not split_names(root):
        return
    folders = [p for p in root.iterdir() if p.is_dir() and not is_foreign(p.name)]
    named = sorted(p.name for p in folders if p.name in SPLIT_FOLDERS)
    inner = any((folder / split).is_dir() for folder in folders for split in SPLIT_FOLDERS)
    if named and len(named) < len(folders) and not inner:
        other = min(p.name for p in folders if p.name not in SPLIT_FOLDERS)
        raise InputError(
            f"{root}: {named[0]!r} is the name of a split but stands beside {other!r}; rename the "
            "folder if it is a class, or keep only folders of splits there"
        )


def _up(paths: Sequence[Path]) -> str | None:
    """The vertical axis that all formats there state, or None; a file of each format tells."""
    formats = {path.suffix.lower(): path for path in paths}
    stated = {read_cloud(path).up for path in formats.values()}
    return stated.pop() if len(stated) == 1 else None


def _cloud(
    entry: Entry, points: int, channels: tuple[str, ...], up: str | None, seed: int, rule: str
) -> NDArray[np.float32]:
    one, path = entry
    cloud = read_cloud(path, channels, points, seed=object_seed(seed, one))
    if up is None or cloud.up is None:
        return normalize(cloud.points, rule)
    return normalize(turn(cloud.points, cloud.up, up, channels), rule)


def load(path: Path) -> NDArray[np.float32]:
    """Return all points of a cloud, or all vertices of a mesh that has a surface, (N, 3)."""
    if path.suffix.lower() not in MESH_SUFFIXES:
        return read_cloud(path).points
    mesh = read_mesh(path)
    if len(mesh.faces) == 0:
        return require_cloud(mesh.vertices, str(path))
    try:
        sample_mesh(mesh, 1)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return require_cloud(mesh.vertices, str(path))


def _open(root: Path, split: str, reading: Reading) -> CloudDataset:
    whole = partial(
        CloudFolder,
        root,
        points=reading.points,
        channels=reading.channels,
        up=reading.up,
        cache=reading.cache,
        workers=reading.workers,
    )
    require_told_apart(root)
    present = split_names(root)
    if reading.test_share == 0 or split == ALL:
        return whole(split)
    if present:
        raise InputError(
            f"{root}: has folders for {', '.join(present)}; data.test_share is for a folder without"
        )
    train, test = split_share(whole(ALL), reading.test_share, reading.seed)
    return train if split == "train" else test


def _stored(root: Path, split: str, _reading: Reading) -> Stored:
    require_told_apart(root)
    return read_tree(root, split, SUFFIXES).stored(f"{root.resolve().name}/{split}", load)


RECORD = DataSet(
    name="folder",
    about="a folder of one's own, meshes or clouds",
    files="<class>/<split>/*, <split>/<class>/*, <class>/*",
    read=_open,
    stored=_stored,
    recognise=lambda root: any(p.is_dir() and not p.name.startswith(".") for p in root.iterdir()),
    channels=XYZ,
    up=None,
    citation="yours",
    licence="yours",
    splits=(*SPLIT_FOLDERS, ALL),
)
