"""Meshes to shaded pictures, off screen, with VTK (extra `render`); no display, no GPU needed.

The paper's 20 views stand on the vertices of a dodecahedron around the object, as in RotationNet.
A black background and an object that fills the frame follow Su et al. (2018), who found both to
help view-based classifiers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.views.cameras import DODECAHEDRON_VIEWS, Views
from pointcmt.views.normals import normal_colors
from pointcmt.views.surfaces import GREY, Surface
from pointcmt.views.window import camera_place, open_window, require_pyvista, shoot

Look = Literal["shaded", "normals"]
LOOKS: tuple[str, ...] = get_args(Look)
# An object's parts, views and look to its pictures.
Render = Callable[[Sequence[Surface], Views, Look], NDArray[np.uint8]]
DARKEST = 0.15  # what black is drawn as, so that dark objects stand out from a black background


def render_views(
    surfaces: Sequence[Surface],
    views: Views = DODECAHEDRON_VIEWS,
    size: int = 224,
    *,
    background: float = 0.0,
    look: Look = "shaded",
) -> NDArray[np.uint8]:
    """Render an object from each view, centred and scaled to fill the frame.

    The centre of the bounding box moves to the origin, the farthest vertex of a face to radius
    one. Both sides of a face are lit, since CAD meshes mix their windings. The lights move with the
    camera: one from the upper left, a weaker one from the right.

    Args:
        surfaces: the object's parts, see `read_surfaces`.
        views: (V, 3, 3) rotations from world to camera axes, see `pointcmt.views.cameras`.
        size: height and width in pixels.
        background: grey level in [0, 1].
        look: "shaded", lit and in its own colours; or "normals", each face in the colour that says
            how it is turned to the camera, see `normal_colors`.

    Returns:
        (V, size, size, 3) uint8, red, green, blue.

    Raises:
        InputError: there is no face with an area, or the `render` extra is not installed.
        ValueError: `views`, `size` or `background` is out of its range.
    """
    with renderer(size, background) as render:
        return render(surfaces, views, look)


@contextmanager
def renderer(size: int = 224, background: float = 0.0) -> Iterator[Render]:
    """Yield a function that renders one object after the other, as `render_views` does each.

    It keeps one window, which takes longer to open than a small picture to draw.

    Args:
        size: height and width in pixels.
        background: grey level in [0, 1].

    Raises:
        InputError: the `render` extra is not installed.
        ValueError: `size` or `background` is out of its range.
    """
    if not (1 <= size <= 4096 and 0 <= background <= 1):
        raise ValueError(f"size must be 1..4096 and background 0..1, got {size} and {background}")
    with open_window(size, background) as plotter:
        yield partial(_render, plotter)


def _render(
    plotter: Any, surfaces: Sequence[Surface], views: Views, look: Look
) -> NDArray[np.uint8]:
    rotations = np.asarray(views, np.float64)
    if rotations.ndim != 3 or rotations.shape[1:] != (3, 3):
        raise ValueError(f"views must be (V, 3, 3), got {rotations.shape}")
    parts = _fit([part for part in map(_with_area, surfaces) if len(part.faces)])
    images = np.empty((len(rotations), *plotter.window_size, 3), np.uint8)
    try:
        meshes = [_place(plotter, part, look) for part in parts]
        for view, image in zip(rotations, images, strict=True):
            if look == "normals":
                for mesh, part in zip(meshes, parts, strict=True):
                    mesh.cell_data["color"] = normal_colors(part, view, camera_place(view))
            image[:] = shoot(plotter, view)
    finally:
        plotter.clear_actors()
    return images


def _with_area(surface: Surface) -> Surface:
    """Drop faces without an area, whose normals would be undefined."""
    corners = np.asarray(surface.vertices, np.float64)[surface.faces]  # (F, 3, 3)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sound = normals.any(axis=1)  # (F,)
    colors = None if surface.face_colors is None else surface.face_colors[sound]
    return replace(surface, faces=surface.faces[sound], face_colors=colors)


def _fit(parts: list[Surface]) -> list[Surface]:
    """Move and scale the parts together; vertices of no face do not count."""
    if not parts:
        raise InputError("the mesh has no face with an area; there is nothing to render")
    used = np.concatenate([part.vertices[np.unique(part.faces)] for part in parts])
    center = (used.min(axis=0) + used.max(axis=0)) / 2
    radius = np.linalg.norm(used - center, axis=1).max()
    return [replace(part, vertices=(part.vertices - center) / radius) for part in parts]


def _place(plotter: Any, part: Surface, look: Look) -> Any:
    """Add a part to the scene and return its mesh."""
    pyvista = require_pyvista()
    mesh = pyvista.PolyData.from_regular_faces(part.vertices.astype(np.float32), part.faces)
    if look == "normals":
        mesh.cell_data["color"] = np.zeros((len(part.faces), 3), np.uint8)
        plotter.add_mesh(mesh, scalars="color", rgb=True, lighting=False)
        return mesh
    plotter.add_mesh(
        mesh,
        ambient=0.2,
        diffuse=0.8,
        specular=0.15,
        specular_power=20,
        lighting=True,
        **_paint(mesh, part),
    )
    return mesh


def _paint(mesh: Any, part: Surface) -> dict[str, Any]:
    look: dict[str, Any] = {"color": (GREY,) * 3}
    if part.texture is not None and part.coordinates is not None:
        mesh.active_texture_coordinates = part.coordinates.astype(np.float32)
        look = {"texture": require_pyvista().Texture(_lifted(part.texture))}
    elif part.vertex_colors is not None:
        mesh.point_data["color"] = _lifted(part.vertex_colors)
        look = {"scalars": "color", "rgb": True}
    elif part.face_colors is not None:
        mesh.cell_data["color"] = _lifted(part.face_colors)
        look = {"scalars": "color", "rgb": True}
    if part.opacity < 1:
        look["opacity"] = part.opacity
    return look


def _lifted(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring colours from [0, 255] to [38, 255]."""
    table = 255 * (DARKEST + (1 - DARKEST) * np.arange(256) / 255)
    lifted: NDArray[np.uint8] = table.round().astype(np.uint8)[colors]
    return lifted
