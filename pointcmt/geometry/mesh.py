"""Triangle meshes, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats import MESH_READERS, parse
from pointcmt.geometry.formats.names import XYZ
from pointcmt.geometry.formats.source import Parsed

MESH_SUFFIXES = tuple(MESH_READERS)
MAX_FACES = 20_000_000


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Attributes:
        vertices: (V, 3) float64, finite.
        faces: (F, 3) int64, indices into `vertices`; F may be 0 for a bare cloud.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


def read_mesh(path: Path | str) -> Mesh:
    """Read one mesh; a scene's parts are placed by their transforms and joined.

    Faces with more than three corners are split into triangles, concave ones rightly. A PLY or OBJ
    without faces gives a mesh without faces.

    Raises:
        InputError: the file cannot be read (see `pointcmt.geometry.formats.parse`); it has no
            vertices, a NaN vertex, a face index out of range or more than 20 million faces.
    """
    path = Path(path)
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise InputError(f"{path}: not a mesh format; use one of {', '.join(MESH_SUFFIXES)}")
    return as_mesh(parse(path), str(path))


def as_mesh(parsed: Parsed, where: str) -> Mesh:
    """Return the mesh of a parsed file; `where` names it in messages.

    Raises:
        InputError: as `read_mesh`.
    """
    vertices = coordinates(parsed.columns, where)
    faces = np.zeros((0, 3), np.int64) if parsed.faces is None else parsed.faces
    if len(vertices) == 0:
        raise InputError(f"{where}: has no vertices; a mesh or a cloud was expected")
    if not np.isfinite(vertices).all():
        row = int(np.flatnonzero(~np.isfinite(vertices).all(axis=1))[0])
        raise InputError(f"{where}: vertex {row} has NaN or infinite coordinates")
    if len(faces) > MAX_FACES:
        raise InputError(f"{where}: {len(faces)} faces; simplify the mesh to {MAX_FACES} or fewer")
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices)):
        raise InputError(f"{where}: a face names a vertex that is not among the {len(vertices)}")
    return Mesh(vertices, faces)


def coordinates(columns: Mapping[str, NDArray[Any]], where: str) -> NDArray[np.float64]:
    """Return the columns x, y and z as (N, 3) float64.

    Raises:
        InputError: one is missing; `where` names the file.
    """
    require_channels(columns, XYZ, where)
    return np.stack([columns[name] for name in XYZ], axis=1).astype(np.float64)


def require_channels(
    columns: Mapping[str, NDArray[Any]], names: tuple[str, ...], where: str
) -> None:
    """Raise an `InputError` that lists what is there unless all `names` are in `columns`."""
    missing = [name for name in names if name not in columns]
    if missing:
        has = ", ".join([*columns][:12]) + (", ..." if len(columns) > 12 else "")
        raise InputError(f"{where}: has no channel {', '.join(missing)}; it has {has or 'none'}")
