"""One door for every file that holds an object: a cloud, or a mesh that is sampled."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.clouds import CLOUD_SUFFIXES, XYZ, Cloud, read_array, require_cloud
from pointcmt.geometry.mesh import MESH_SUFFIXES, Mesh, read_mesh
from pointcmt.geometry.resample import resample
from pointcmt.geometry.surface import sample_mesh

SUFFIXES = (*CLOUD_SUFFIXES, *MESH_SUFFIXES)
DEFAULT_SAMPLES = 2048  # points drawn from a mesh when no count is given
NORMALS = ("nx", "ny", "nz")
Y_UP = (".glb",)  # by the format's specification


def read_cloud(
    path: Path | str,
    channels: Sequence[str] = XYZ,
    points: int | None = None,
    *,
    seed: int = 0,
) -> Cloud:
    """Read the cloud of one object from a file.

    Clouds are resampled to `points` points by the rule of `resample`; meshes are sampled uniformly
    by area, and have the normals of their faces. The coordinates are the file's; see
    `normalize` and `turn`.

    Args:
        path: the file, its format known by its ending, one of `SUFFIXES`.
        channels: the columns wanted, by name: x, y and z first.
        points: number of points; None keeps a cloud as it is and draws 2,048 points from a mesh.
        seed: the same seed gives the same points.

    Raises:
        InputError: the format is unknown, the file is damaged or lacks a channel, or what it holds
            is not a cloud (see `require_cloud`) or a mesh with a surface.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: unknown format; use one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    columns = _columns(path, suffix, points, seed)
    missing = [name for name in channels if name not in columns]
    if missing:
        raise InputError(
            f"{path}: has no channel {', '.join(missing)}; it has {', '.join(columns)}"
        )
    table = np.stack([columns[name] for name in channels], axis=1)
    cloud = require_cloud(table, str(path), len(channels))
    if points is not None:
        cloud = resample(cloud, points, seed)
    return Cloud(cloud, tuple(channels), "y" if suffix in Y_UP else None)


def read_points(path: Path | str, count: int | None = None, seed: int = 0) -> NDArray[np.float32]:
    """Return the points (N, 3) of `read_cloud`."""
    return read_cloud(path, points=count, seed=seed).points


def _columns(path: Path, suffix: str, points: int | None, seed: int) -> Mapping[str, NDArray[Any]]:
    if suffix in CLOUD_SUFFIXES:
        rows = read_array(path)
        if rows.ndim != 2 or len(rows) < rows.shape[1] or rows.shape[1] < 3:
            require_cloud(rows, str(path))
        names = XYZ + (NORMALS if rows.shape[1] == 6 else ())
        return dict(zip(names, rows.T, strict=False))
    mesh = read_mesh(path)
    if len(mesh.faces) == 0:
        return dict(zip(XYZ, mesh.vertices.T, strict=True))
    return _sampled(path, mesh, DEFAULT_SAMPLES if points is None else points, seed)


def _sampled(path: Path, mesh: Mesh, points: int, seed: int) -> Mapping[str, NDArray[Any]]:
    try:
        xyz, normals = sample_mesh(mesh, points, seed)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return dict(zip(XYZ + NORMALS, (*xyz.T, *normals.T), strict=True))
