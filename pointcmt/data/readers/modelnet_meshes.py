"""ModelNet40's and ModelNet10's original meshes, sampled."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.cache import Cache, Entry
from pointcmt.data.dataset import XYZ_NORMAL, CloudDataset
from pointcmt.data.object_files import ObjectFiles
from pointcmt.data.readers import folder
from pointcmt.data.readers.modelnet40 import (
    MODELNET10_CLASSES,
    MODELNET40_CLASSES,
    MODELNET_CITATION,
    MODELNET_LICENCE,
    MODELNET_PAGE,
)
from pointcmt.data.record import DataSet, Reading, Stored
from pointcmt.data.seeds import object_seed
from pointcmt.data.tree import read_tree
from pointcmt.data.validate import require_known
from pointcmt.errors import InputError
from pointcmt.fetch.mirrors import Archive, Mirror
from pointcmt.geometry import NORMALIZATIONS, SAMPLERS, XYZ, normalize, read_mesh, require_cloud

UP = "z"
MESH_CLASSES = {40: MODELNET40_CLASSES, 10: MODELNET10_CLASSES}


class ModelNetMeshes(CloudDataset):
    """ModelNet40's or ModelNet10's original meshes, `<class>/<split>/<name>.off`, as clouds.

    The meshes have z up. They are sampled once and kept in a cache folder.

    Args:
        root: the folder with the 40 (or 10) class folders.
        split: `train` or `test`.
        points: points a cloud.
        classes: 40 or 10.
        seed: decides the sampling.
        normalization: one of `pointcmt.geometry.NORMALIZATIONS`.
        sampling: `uniform` by area, or `even`, Poisson-like.
        normals: add the faces' normals as channels 3 to 5.
        cache: where prepared clouds are kept, see `pointcmt.data.cache.Cache`.
        workers: processes that prepare files side by side.

    Raises:
        InputError: a folder is missing, a mesh is unusable, or a setting is unknown.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        points: int = 1024,
        *,
        classes: int = 40,
        seed: int = 0,
        normalization: str = "unit-sphere",
        sampling: str = "uniform",
        normals: bool = False,
        cache: Path | str | None = None,
        workers: int = 1,
    ) -> None:
        root = Path(root)
        require_known("number of classes", classes, MESH_CLASSES)
        require_known("sampling", sampling, SAMPLERS)
        require_known("normalisation", normalization, NORMALIZATIONS)
        files = _files(root, split, classes)
        prepare = partial(_surface, points=points, seed=seed, rule=normalization, sampling=sampling)
        store = Cache(root, f"surface {points} {seed} {normalization} {sampling}", cache, workers)
        clouds = np.concatenate(files.prepared(store, split, prepare))  # (n, N, 6)
        even = "-even" if sampling == "even" else ""
        super().__init__(
            f"modelnet{classes}-meshes{even}/{split}",
            files.classes,
            clouds if normals else np.ascontiguousarray(clouds[..., :3]),
            files.labels,
            files.ids,
            normalization,
            XYZ_NORMAL if normals else XYZ,
            UP,
        )


def _files(root: Path, split: str, classes: int) -> ObjectFiles:
    """The meshes of a split, with ids such as `chair/chair_0001`."""
    tree = read_tree(root, split, (".off",), MESH_CLASSES[classes])
    named = {
        name: [(f"{name}/{path.stem}", path) for _, path in files]
        for name, files in tree.files.items()
    }
    return ObjectFiles(tree.classes, named)


def _surface(entry: Entry, points: int, seed: int, rule: str, sampling: str) -> NDArray[np.float32]:
    path = entry[1]
    try:
        xyz, normals = SAMPLERS[sampling](read_mesh(path), points, object_seed(seed, path.name))
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    clouds = normalize(require_cloud(xyz, str(path)), rule)
    return np.concatenate([clouds, normals.astype(np.float32)], axis=1)  # (N, 6)


def _recognise(root: Path, classes: int) -> bool:
    folders = {p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")}
    return folders == set(MESH_CLASSES[classes]) and any(root.glob("chair/train/chair_*.off"))


def _open(root: Path, split: str, reading: Reading, classes: int) -> CloudDataset:
    return ModelNetMeshes(
        root,
        split,
        reading.points,
        classes=classes,
        cache=reading.cache,
        workers=reading.workers,
    )


def _stored(root: Path, split: str, _reading: Reading, classes: int) -> Stored:
    files = _files(root, split, classes)
    return files.stored(f"modelnet{classes}-meshes/{split}", folder.load)


def _record(
    classes: int, about: str, counts: dict[str, int], gigabytes: float, *mirrors: Mirror
) -> DataSet:
    return DataSet(
        name=f"modelnet{classes}-meshes",
        about=about,
        files="<class>/{train,test}/<name>.off",
        read=partial(_open, classes=classes),
        stored=partial(_stored, classes=classes),
        recognise=partial(_recognise, classes=classes),
        channels=XYZ,
        up=UP,
        citation=MODELNET_CITATION,
        licence=MODELNET_LICENCE,
        counts=counts,
        archive=Archive(
            folder=f"ModelNet{classes}",
            marker="*/train/*.off",
            page=MODELNET_PAGE,
            mirrors=mirrors,
            gigabytes=gigabytes,
        ),
    )


SHAPENETS = "princeton.edu/projects/2014/3DShapeNets/ModelNet10.zip"
RECORDS = (
    _record(
        40,
        "ModelNet40, the original 12,311 meshes (OFF)",
        {"train": 9843, "test": 2468},
        2.1,
        Mirror(
            "http://modelnet.cs.princeton.edu/ModelNet40.zip",
            "md5:79bcee68fdf02f581938ba15f4cdca51",
        ),
    ),
    _record(
        10,
        "ModelNet10, the original 4,899 meshes (OFF)",
        {"train": 3991, "test": 908},
        0.5,
        Mirror(f"http://3dvision.{SHAPENETS}", "md5:18f4c73879802c35aa6178f8e773a99e"),
        Mirror(f"http://vision.{SHAPENETS}"),
    ),
)
