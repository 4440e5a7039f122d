"""Colours that say how a surface is turned to the camera: a normal map."""

import numpy as np
from numpy.typing import NDArray

from pointcmt.views.surfaces import Surface


def normal_colors(
    surface: Surface, view: NDArray[np.float64], camera: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return a colour for each face: red to the right, green upwards, blue towards the camera.

    A component of -1 is 0, one of 1 is 255. A face that turns its back shows the opposite normal,
    since CAD meshes mix their windings.

    Args:
        surface: faces with an area.
        view: (3, 3), with the rows right, down and the direction of sight.
        camera: (3,), where it stands.

    Returns:
        (F, 3) uint8.
    """
    corners = np.asarray(surface.vertices, np.float64)[surface.faces]  # (F, 3, 3)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # (F, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    away = ((camera - corners[:, 0]) * normals).sum(axis=1) < 0  # (F,)
    normals[away] *= -1
    seen = normals @ (view * np.array([[1.0], [-1.0], [-1.0]])).T  # right, up, towards the camera
    return np.asarray(((seen + 1) * 127.5).round(), np.uint8)
