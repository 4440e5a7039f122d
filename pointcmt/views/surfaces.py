"""Surfaces with the colours or textures that their files give them, for rendering."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import read_mesh

COLORED = (".glb", ".obj", ".ply")  # formats whose colours are read


@dataclass(frozen=True)
class Surface:
    """Triangles of one material.

    Attributes:
        vertices: (V, 3) finite numbers.
        faces: (F, 3) indices into `vertices`.
        vertex_colors: None, or (V, 3) uint8 red, green, blue.
        face_colors: None, or (F, 3) uint8 red, green, blue.
        texture: None, or a picture (H, W, 3) uint8, its first row at the top.
        coordinates: None, or (V, 2), where each vertex lies in the texture: 0, 0 is its lower
            left corner, 1, 1 its upper right one.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    vertex_colors: NDArray[np.uint8] | None = None
    face_colors: NDArray[np.uint8] | None = None
    texture: NDArray[np.uint8] | None = None
    coordinates: NDArray[np.float64] | None = None


def read_surfaces(path: Path | str) -> list[Surface]:
    """Read a mesh file with its colours: of vertices, of faces, of materials, or a texture.

    Colours are read from GLB, OBJ and PLY; materials and pictures only from inside a GLB or from
    the folder of an OBJ. Paint that is missing or damaged leaves the surface plain.

    Args:
        path: an .off, .obj, .ply, .stl or .glb file.

    Returns:
        One surface for each part of the scene, placed by its transform; parts without faces are
        left out.

    Raises:
        InputError: the file is not a readable mesh (see `pointcmt.geometry.read_mesh`), or it has
            no faces.
    """
    path = Path(path)
    plain = read_mesh(path)  # every check of hostile or broken files is made there
    if len(plain.faces) == 0:
        raise InputError(f"{path}: has no faces to render; project the cloud instead")
    surfaces = _painted(path) if path.suffix.lower() in COLORED else []
    if sum(len(surface.faces) for surface in surfaces) != len(plain.faces):
        return [Surface(plain.vertices, plain.faces)]
    return surfaces


def _painted(path: Path) -> list[Surface]:
    """Return the parts with their paint; none if the parser or a material fails."""
    import trimesh

    try:
        scene = trimesh.load_scene(path, process=False, resolver=_Beside(path.parent))
        return list(_parts(scene))
    except Exception:  # the parsers raise anything on odd materials; the plain mesh is sound
        return []


def _parts(scene: Any) -> Iterator[Surface]:
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        part = scene.geometry[name]
        if not hasattr(part, "faces"):
            continue
        vertices = np.asarray(part.vertices, np.float64)
        placed = vertices @ transform[:3, :3].T + transform[:3, 3]
        paint = _paint(part.visual, len(vertices))
        yield Surface(placed, np.asarray(part.faces, np.int64), **paint)


def _paint(visual: Any, vertices: int) -> dict[str, Any]:
    if visual.kind == "texture":
        return _material(visual, vertices)
    if visual.kind == "face":
        return {"face_colors": np.asarray(visual.face_colors, np.uint8)[:, :3]}
    if visual.kind == "vertex":
        return {"vertex_colors": np.asarray(visual.vertex_colors, np.uint8)[:, :3]}
    return {}


def _material(visual: Any, vertices: int) -> dict[str, Any]:
    """The picture of a material if the vertices have places in it, else its main colour."""
    material = visual.material
    picture = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if picture is not None and visual.uv is not None and len(visual.uv) == vertices:
        texture = np.asarray(picture.convert("RGB"), np.uint8)
        return {"texture": texture, "coordinates": np.asarray(visual.uv, np.float64)}
    color = np.asarray(material.main_color, np.uint8)[:3]
    return {"vertex_colors": np.tile(color, (vertices, 1))}


class _Beside(Mapping[str, bytes]):
    """The files of one folder, and no other, for a mesh that names its materials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def __getitem__(self, name: str) -> bytes:
        path = (self.folder / name.strip()).resolve()
        if not (path.is_relative_to(self.folder) and path.is_file()):
            raise KeyError(name)
        return path.read_bytes()

    def __iter__(self) -> Iterator[str]:
        return (path.name for path in self.folder.iterdir())

    def __len__(self) -> int:
        return sum(1 for _ in self)
