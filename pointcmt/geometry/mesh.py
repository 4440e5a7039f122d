"""Triangle meshes from files: .off, .obj, .ply, .stl and .glb, read by trimesh."""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

MESH_SUFFIXES = (".off", ".obj", ".ply", ".stl", ".glb")
MAX_BYTES = 2 * 1024**3
MAX_FACES = 20_000_000

# ModelNet's archive runs the header into the counts (`OFF490 518 0`), which trimesh accepts; files
# converted from PLY keep a line `end_header` after the counts, which it does not.
LEFTOVER = re.compile(rb"\A(\s*C?OFF\s*\d+\s+\d+\s+\d+\s*\n)end_header[ \r]*\n")

PLY_VERTICES = re.compile(rb"element vertex (\d{1,18})\s")


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

    Faces with more than three corners are split into triangles. Textures and other files that
    the mesh names are not opened. A PLY or OBJ without faces gives a mesh without faces.

    Raises:
        InputError: the file is missing, of another format, damaged or larger than 2 GiB; it has
            no vertices, a NaN vertex, a face index out of range or more than 20 million faces.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise InputError(f"{path}: not a mesh format; use one of {', '.join(MESH_SUFFIXES)}")
    raw = _read_bytes(path)
    if suffix == ".off":
        raw = LEFTOVER.sub(rb"\1", raw, count=1)
    vertices, faces = _parse(path, raw, suffix[1:])
    announced = PLY_VERTICES.search(raw, 0, 4096) if suffix == ".ply" else None
    if announced and int(announced[1]) != len(vertices):
        raise InputError(
            f"{path}: {len(vertices)} vertices, but the header announces {int(announced[1])}; "
            "the file is truncated"
        )
    return _checked(path, vertices, faces)


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size} bytes; a mesh file may have {MAX_BYTES}")
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not raw.strip():
        raise InputError(f"{path}: the file is empty; a mesh was expected")
    return raw


def _parse(path: Path, raw: bytes, kind: str) -> tuple[Any, Any]:
    import trimesh

    try:
        scene = trimesh.load_scene(
            io.BytesIO(raw), file_type=kind, process=False, skip_materials=True
        )
        parts = [_placed(scene, node) for node in scene.graph.nodes_geometry]
    except Exception as error:  # the parsers raise anything on hostile bytes
        raise InputError(
            f"{path}: not a readable .{kind} mesh ({type(error).__name__}: {error})"
        ) from error
    if not parts:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    offsets = np.cumsum([0] + [len(vertices) for vertices, _ in parts[:-1]])
    joined = [faces + offset for (_, faces), offset in zip(parts, offsets, strict=True)]
    return np.concatenate([vertices for vertices, _ in parts]), np.concatenate(joined)


def _placed(scene: Any, node: str) -> tuple[NDArray[Any], NDArray[Any]]:
    transform, name = scene.graph[node]
    geometry = scene.geometry[name]
    vertices = np.asarray(geometry.vertices, dtype=np.float64)  # (V, 3)
    placed = vertices @ transform[:3, :3].T + transform[:3, 3]
    faces = np.asarray(getattr(geometry, "faces", np.zeros((0, 3))), dtype=np.int64)
    return placed, faces.reshape(-1, 3)


def _checked(path: Path, vertices: NDArray[Any], faces: NDArray[Any]) -> Mesh:
    if len(vertices) == 0:
        raise InputError(f"{path}: has no vertices; a mesh or a cloud was expected")
    if not np.isfinite(vertices).all():
        row = int(np.flatnonzero(~np.isfinite(vertices).all(axis=1))[0])
        raise InputError(f"{path}: vertex {row} has NaN or infinite coordinates")
    if len(faces) > MAX_FACES:
        raise InputError(f"{path}: {len(faces)} faces; simplify the mesh to {MAX_FACES} or fewer")
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices)):
        raise InputError(f"{path}: a face names a vertex that is not among the {len(vertices)}")
    return Mesh(vertices, faces)
