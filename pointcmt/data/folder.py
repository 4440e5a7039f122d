"""Meshes and clouds in class folders: ModelNet's original meshes and folders of one's own."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.cache import CACHE_FOLDER, Cache
from pointcmt.data.dataset import XYZ, XYZ_NORMAL, CloudDataset
from pointcmt.data.modelnet import MODELNET10_CLASSES, MODELNET40_CLASSES
from pointcmt.data.seeds import object_seed
from pointcmt.data.tree import ClassTree, read_tree
from pointcmt.errors import InputError
from pointcmt.geometry import (
    NORMALIZATIONS,
    SAMPLERS,
    SUFFIXES,
    normalize,
    read_mesh,
    read_points,
    require_cloud,
)

MESH_CLASSES = {40: MODELNET40_CLASSES, 10: MODELNET10_CLASSES}


class CloudFolder(CloudDataset):
    """A folder of one's own: `<class>/<split>/<file>` or `<class>/<file>`, meshes or clouds.

    Files may end in .off .obj .ply .stl .glb (meshes, sampled uniformly by area) or .npy .npz .xyz
    .txt .pcd (clouds, resampled). They are prepared once and kept in a cache folder.

    Args:
        root: the folder with a folder for each class; the classes are numbered alphabetically.
        split: `train`, `test`, or `all` for a tree without split folders.
        points: points a cloud.
        seed: decides the sampling.
        normalization: one of `pointcmt.geometry.NORMALIZATIONS`.
        name: of the data set; by default the folder's.
        cache: where prepared clouds are kept; by default `.pointcmt-cache` in `root`.
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
        seed: int = 0,
        normalization: str = "unit-sphere",
        name: str | None = None,
        cache: Path | str | None = None,
        workers: int = 1,
    ) -> None:
        root = Path(root)
        tree = read_tree(root, split, SUFFIXES)
        _require_known("normalisation", normalization, NORMALIZATIONS)
        prepare = partial(_cloud, root=root, points=points, seed=seed, rule=normalization)
        store = Cache(
            Path(cache) if cache else root / CACHE_FOLDER,
            f"cloud {points} {seed} {normalization}",
            workers,
        )
        ids = [path.relative_to(root).as_posix() for files in tree.files for path in files]
        super().__init__(
            f"{name or root.resolve().name}/{split}",
            tree.classes,
            _prepared(store, tree, split, prepare),
            tree.labels,
            ids,
            normalization,
        )


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
        cache: where prepared clouds are kept; by default `.pointcmt-cache` in `root`.
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
        _require_known("number of classes", classes, MESH_CLASSES)
        _require_known("sampling", sampling, SAMPLERS)
        _require_known("normalisation", normalization, NORMALIZATIONS)
        tree = read_tree(root, split, (".off",), MESH_CLASSES[classes])
        prepare = partial(_surface, points=points, seed=seed, rule=normalization, sampling=sampling)
        store = Cache(
            Path(cache) if cache else root / CACHE_FOLDER,
            f"surface {points} {seed} {normalization} {sampling}",
            workers,
        )
        clouds = _prepared(store, tree, split, prepare)  # (n, N, 6)
        super().__init__(
            f"modelnet{classes}-off-{sampling}/{split}",
            tree.classes,
            clouds if normals else np.ascontiguousarray(clouds[..., :3]),
            tree.labels,
            [f"{path.parent.parent.name}/{path.stem}" for files in tree.files for path in files],
            normalization,
            XYZ_NORMAL if normals else XYZ,
        )


def _prepared(
    store: Cache, tree: ClassTree, split: str, prepare: Callable[[Path], NDArray[np.float32]]
) -> NDArray[np.float32]:
    named = zip(tree.classes, tree.files, strict=True)
    groups = {f"{name}-{split}": files for name, files in named if files}
    return np.concatenate(store.rows(groups, prepare))


def _cloud(path: Path, root: Path, points: int, seed: int, rule: str) -> NDArray[np.float32]:
    own = object_seed(seed, path.relative_to(root).as_posix())
    return normalize(read_points(path, points, own), rule)


def _surface(path: Path, points: int, seed: int, rule: str, sampling: str) -> NDArray[np.float32]:
    try:
        xyz, normals = SAMPLERS[sampling](read_mesh(path), points, object_seed(seed, path.name))
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    clouds = normalize(require_cloud(xyz, str(path)), rule)
    return np.concatenate([clouds, normals.astype(np.float32)], axis=1)  # (N, 6)


def _require_known(what: str, value: object, known: Collection[object]) -> None:
    if value not in known:
        raise InputError(f"unknown {what} {value!r}: use one of {', '.join(map(str, known))}")
