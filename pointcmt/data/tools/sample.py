"""One object to look at: a file, or a member of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.dataset import XYZ_RGB, CloudDataset
from pointcmt.data.readers.shapes import Shapes
from pointcmt.data.tools.viewing import openers, refer, vertical
from pointcmt.errors import InputError
from pointcmt.geometry import MESH_SUFFIXES, normalize, read_mesh, read_points
from pointcmt.views.surfaces import Surface, read_surfaces
from pointcmt.views.window import can_render


@dataclass(frozen=True)
class LoadedSample:
    """An object as `pointcmt.views.sheet` draws it.

    Attributes:
        cloud: (N, 3) in the unit sphere, or (N, 6) with colours.
        surfaces: the mesh, if the object is one and VTK is installed.
        up: its usual vertical, `y` or `z`.
    """

    cloud: NDArray[np.float32]
    surfaces: Sequence[Surface] | None
    up: str


def load_sample(sample: str, points: int, cache: Path | None = None) -> LoadedSample:
    """Load a file, `FOLDER#INDEX` or `FOLDER#ID`; `shapes#INDEX` is of the embedded set.

    The splits of a data set are searched in their order; an index counts within the first.

    Raises:
        InputError: there is no such object, or it cannot be read.
    """
    folder, mark, which = sample.rpartition("#")
    if mark and not Path(sample).exists():
        return _member(folder, which, cache)
    path = Path(sample)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name an object of it, for example {path}#0")
    cloud = normalize(read_points(path, points), "unit-sphere")
    surfaces = read_surfaces(path) if _is_mesh(path) and can_render() else None
    return LoadedSample(cloud, surfaces, vertical(path))


def _is_mesh(path: Path) -> bool:
    return path.suffix.lower() in MESH_SUFFIXES and len(read_mesh(path).faces) > 0


def _member(folder: str, which: str, cache: Path | None) -> LoadedSample:
    for opened in openers(refer(folder), cache):
        data = opened()
        index = _index(data, which)
        if index is not None:
            channels = 6 if data.channels == XYZ_RGB else 3
            cloud = np.asarray(data.points[index, :, :channels])
            return LoadedSample(cloud, _embedded_surfaces(data, index), data.up or "y")
    raise InputError(f"{folder}: has no object {which!r}; give an index or an id")


def _embedded_surfaces(data: CloudDataset, index: int) -> list[Surface] | None:
    if not isinstance(data, Shapes) or not can_render():
        return None
    mesh = data.mesh(index)
    return [Surface.of(mesh)]


def _index(data: CloudDataset, which: str) -> int | None:
    if which.isdecimal():
        return int(which) if int(which) < len(data) else None
    return list(data.ids).index(which) if which in data.ids else None
