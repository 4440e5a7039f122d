"""Surfaces with the colours or textures that their files give them, for rendering."""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import COLORS
from pointcmt.geometry.formats import parse
from pointcmt.geometry.formats.source import Material, Paint
from pointcmt.geometry.mesh import Mesh, as_mesh

MAX_PIXELS = 2**26  # of a texture
GREY = 0.85  # of surfaces without colour
INVISIBLE = 0.02  # below this opacity a material is taken for solid: some exporters swap the two
PLAIN = Material("")


class PaintWarning(UserWarning):
    """The materials or pictures that a mesh names are missing or damaged; it is drawn without."""


@dataclass(frozen=True)
class Surface:
    """Triangles of one look.

    Attributes:
        vertices: (V, 3) finite numbers.
        faces: (F, 3) indices into `vertices`.
        vertex_colors: None, or (V, 3) uint8 red, green, blue.
        face_colors: None, or (F, 3) uint8 red, green, blue.
        texture: None, or a picture (H, W, 3) uint8, its first row at the top.
        coordinates: None, or (V, 2), where each vertex lies in the texture: 0, 0 is its lower
            left corner, 1, 1 its upper right one.
        opacity: 1 for solid, towards 0 for glass.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    vertex_colors: NDArray[np.uint8] | None = None
    face_colors: NDArray[np.uint8] | None = None
    texture: NDArray[np.uint8] | None = None
    coordinates: NDArray[np.float64] | None = None
    opacity: float = 1.0

    @classmethod
    def of(cls, mesh: Mesh) -> "Surface":
        """Return a mesh without colours as a surface."""
        return cls(mesh.vertices, mesh.faces)


def read_surfaces(path: Path | str) -> list[Surface]:
    """Read a mesh file with its colours: of vertices, of faces, of materials, or textures.

    Colours are read from GLB, glTF, OBJ and PLY; materials and pictures from inside the file, or
    from its folder and those below. Where they are missing or damaged the surface is plain, and a
    `PaintWarning` says so.

    Args:
        path: a file of one of `pointcmt.geometry.MESH_SUFFIXES`.

    Returns:
        The surfaces, one for each texture and opacity; parts without faces are left out.

    Raises:
        InputError: the file is not a readable mesh (see `pointcmt.geometry.read_mesh`), or it has
            no faces.
    """
    path = Path(path)
    parsed = parse(path, paint=True)
    mesh = as_mesh(parsed, str(path))
    if len(mesh.faces) == 0:
        raise InputError(f"{path}: has no faces to render; project the cloud instead")
    shades = None
    if set(COLORS) <= set(parsed.columns):
        shades = _bytes(np.stack([parsed.columns[name] for name in COLORS], axis=1))
    paint = parsed.paint or Paint()
    if paint.missing:
        warnings.warn(
            f"{path}: drawn without {', '.join(paint.missing[:4])}, which cannot be read",
            PaintWarning,
            stacklevel=2,
        )
    if paint.material is None:
        colors = None if paint.colors is None else _bytes(paint.colors)
        return [Surface(mesh.vertices, mesh.faces, shades if colors is None else None, colors)]
    return list(_by_look(path, mesh, paint, paint.material, shades))


def _bytes(colors: NDArray[Any]) -> NDArray[np.uint8]:
    scaled = (np.clip(np.nan_to_num(colors), 0, 1) * 255).round()
    return np.asarray(scaled, np.uint8)


def _by_look(
    path: Path,
    mesh: Mesh,
    paint: Paint,
    material: NDArray[np.int64],
    shades: NDArray[np.uint8] | None,
) -> Iterator[Surface]:
    """Yield the faces of each picture, and those without one of each opacity."""
    materials = [*paint.materials, PLAIN]  # -1 is the last
    opacities = np.array([m.opacity if m.opacity > INVISIBLE else 1.0 for m in materials])
    placed: NDArray[np.bool_] = np.zeros(len(material), np.bool_)
    if paint.coordinates is not None:
        placed = np.asarray(np.isfinite(paint.coordinates).all(axis=(1, 2)))
    pictures = {id(m.picture): m.picture for m in materials if m.picture is not None}
    owner = np.array([0 if m.picture is None else id(m.picture) for m in materials])
    rest = np.ones(len(material), bool)
    for key, picture in pictures.items():
        own = placed & (owner[material] == key)
        texture = _decoded(path, picture) if own.any() else None
        if texture is not None and paint.coordinates is not None:
            rest &= ~own
            for opacity in np.unique(opacities[material[own]]):
                which = own & (opacities[material] == opacity)
                yield _textured(mesh, which, paint.coordinates, texture, float(opacity))
    shown = _colors(mesh, paint, material, shades)
    for opacity in np.unique(opacities[material[rest]]):
        which = rest & (opacities[material] == opacity)
        colors = None if shown is None else shown[which]
        yield Surface(mesh.vertices, mesh.faces[which], None, colors, opacity=float(opacity))


def _textured(
    mesh: Mesh,
    which: NDArray[np.bool_],
    coordinates: NDArray[np.float64],
    texture: NDArray[np.uint8],
    opacity: float,
) -> Surface:
    """Give each corner a vertex of its own, since it has its own place in the picture."""
    vertices = mesh.vertices[mesh.faces[which]].reshape(-1, 3)
    faces = np.arange(len(vertices)).reshape(-1, 3)
    places = coordinates[which].reshape(-1, 2)
    return Surface(vertices, faces, texture=texture, coordinates=places, opacity=opacity)


def _colors(
    mesh: Mesh, paint: Paint, material: NDArray[np.int64], shades: NDArray[np.uint8] | None
) -> NDArray[np.uint8] | None:
    """Return a colour for each face (F, 3): its own, its vertices', or its material's."""
    if paint.colors is not None:
        return _bytes(paint.colors)
    if shades is not None:
        return np.asarray(shades[mesh.faces].mean(axis=1), np.uint8)
    if all(m.color is None for m in paint.materials):
        return None
    plain = (GREY,) * 3
    table = np.array([plain if m.color is None else m.color for m in [*paint.materials, PLAIN]])
    return _bytes(table[material])


def _decoded(path: Path, picture: bytes) -> NDArray[np.uint8] | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError
            return np.asarray(image.convert("RGB"), np.uint8)
    except Exception:  # decoders raise anything on hostile bytes
        message = f"{path}: drawn without a picture that is damaged or has over {MAX_PIXELS} pixels"
        warnings.warn(message, PaintWarning, stacklevel=2)
        return None
