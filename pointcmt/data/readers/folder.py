"""A folder of one's own: meshes or clouds in class folders."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.cache import CACHE_FOLDER, Cache
from pointcmt.data.dataset import XYZ, CloudDataset
from pointcmt.data.record import DataSet, Reading
from pointcmt.data.seeds import object_seed
from pointcmt.data.tree import ALL, SPLIT_FOLDERS, prepared, read_tree
from pointcmt.data.validate import require_known
from pointcmt.geometry import NORMALIZATIONS, SUFFIXES, normalize, read_points


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
        require_known("normalisation", normalization, NORMALIZATIONS)
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
            prepared(store, tree, split, prepare),
            tree.labels,
            ids,
            normalization,
        )


def _cloud(path: Path, root: Path, points: int, seed: int, rule: str) -> NDArray[np.float32]:
    own = object_seed(seed, path.relative_to(root).as_posix())
    return normalize(read_points(path, points, own), rule)


def _open(root: Path, split: str, reading: Reading) -> CloudDataset:
    return CloudFolder(root, split, reading.points, cache=reading.cache, workers=reading.workers)


RECORD = DataSet(
    name="folder",
    about="a folder of one's own, meshes or clouds",
    files="<class>/<split>/*, <class>/*",
    read=_open,
    recognise=lambda root: any(p.is_dir() and not p.name.startswith(".") for p in root.iterdir()),
    channels=XYZ,
    up=None,
    citation="yours",
    licence="yours",
    splits=(*SPLIT_FOLDERS, ALL),
)
