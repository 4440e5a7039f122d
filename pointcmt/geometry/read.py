"""One door for every file that holds an object: a cloud, or a mesh that is sampled."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.clouds import CLOUD_SUFFIXES, read_cloud, require_cloud
from pointcmt.geometry.mesh import MESH_SUFFIXES, read_mesh
from pointcmt.geometry.resample import resample
from pointcmt.geometry.sampling import sample_mesh

SUFFIXES = (*CLOUD_SUFFIXES, *MESH_SUFFIXES)
DEFAULT_SAMPLES = 2048  # points drawn from a mesh when no count is given


def read_points(path: Path | str, count: int | None = None, seed: int = 0) -> NDArray[np.float32]:
    """Read the cloud of one object from a file.

    Clouds (.npy, .npz, .xyz, .txt, .pcd and .ply without faces) are resampled to `count` points by
    the rule of `resample`; meshes (.off, .obj, .ply, .stl, .glb) are sampled uniformly by area.
    The coordinates are the file's; see `normalize`.

    Args:
        path: the file.
        count: number of points; None keeps a cloud as it is and draws 2,048 points from a mesh.
        seed: the same seed gives the same points.

    Returns:
        (N, 3) float32.

    Raises:
        InputError: the format is unknown, the file is damaged, or what it holds is not a cloud
            (see `require_cloud`) or a mesh with a surface.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: unknown format; use one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if suffix in CLOUD_SUFFIXES:
        points = require_cloud(read_cloud(path), str(path))
    else:
        points = _read_surface(path, count, seed)
    return points if count is None else resample(points, count, seed)


def _read_surface(path: Path, count: int | None, seed: int) -> NDArray[np.float32]:
    mesh = read_mesh(path)
    if len(mesh.faces) == 0:
        return require_cloud(mesh.vertices, str(path))
    try:
        points, _ = sample_mesh(mesh, DEFAULT_SAMPLES if count is None else count, seed)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return require_cloud(points, str(path))
