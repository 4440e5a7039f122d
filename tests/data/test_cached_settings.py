"""Prepared clouds that lie in the cache are never those of other settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointcmt.data import MODELNET10_CLASSES, CloudFolder, ModelNetMeshes
from pointcmt.data.readers.scanobjectnn_color import ScanObjectNNColor
from pointcmt.data.readers.shapenetpart import ShapeNetPart
from tests.data.test_folder import TETRAHEDRON, write
from tests.data.test_scanobjectnn import bin_bytes
from tests.data.test_shapenetpart import rows_of, text_path, write_text

Open = Callable[..., Any]


def own_folder(root: Path) -> Open:
    write(root / "cup" / "a.glb", _glb())
    return lambda **how: CloudFolder(root, "all", **how)


def _glb() -> bytes:
    trimesh = pytest.importorskip("trimesh")
    return bytes(trimesh.creation.box((1, 2, 3)).export(file_type="glb"))


def meshes(root: Path) -> Open:
    for name in MODELNET10_CLASSES:
        write(root / name / "train" / f"{name}_0001.off", "OFF\n" + TETRAHEDRON)
    return lambda **how: ModelNetMeshes(root, classes=10, **how)


def scans(root: Path) -> Open:
    semantic = np.repeat([1, 5], [30, 40])
    write(root / "bag" / "a.bin", bin_bytes(semantic)[0])
    write(root / "split_new.txt", "a.bin\t0\n")
    return lambda **how: ScanObjectNNColor(root, **how)


def parts(root: Path) -> Open:
    write(root / "train_test_split/shuffled_train_file_list.json", '["s/03001627/9c1f"]')
    write_text(text_path(root, "Chair", "9c1f"), rows_of("Chair", "9c1f"))
    return lambda **how: ShapeNetPart(root, "train", **how)


NORMALS = ("x", "y", "z", "nx", "ny", "nz")


@pytest.mark.parametrize(
    ("make", "others"),
    [
        (
            own_folder,
            [
                *({"seed": 1}, {"points": 8}, {"channels": NORMALS}, {"up": "z"}),
                {"normalization": "none"},
            ],
        ),
        (
            meshes,
            [{"seed": 1}, {"points": 8}, {"normalization": "unit-box"}, {"sampling": "even"}],
        ),
        (scans, [{"seed": 1}, {"points": 8}, {"background": True}]),
        (parts, [{"seed": 1}, {"points": 8}]),
    ],
)
def test_clouds_from_the_cache_are_those_of_the_settings(
    make: Callable[[Path], Open], others: list[dict[str, Any]], tmp_path: Path
) -> None:
    opened, usual = make(tmp_path / "data"), {"points": 16}
    kept = opened(**usual, cache=tmp_path / "cache").points
    for number, other in enumerate(others):
        how = {**usual, **other}
        data = opened(**how, cache=tmp_path / str(number))
        assert data.normalization == how.get("normalization", "unit-sphere")
        fresh = data.points
        assert fresh.shape != kept.shape or not np.array_equal(fresh, kept), other
        assert np.array_equal(opened(**how, cache=tmp_path / "cache").points, fresh), other
