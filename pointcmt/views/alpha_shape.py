"""The surface of a cloud: its alpha shape (Edelsbrunner and Mücke, 1994)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import Mesh
from pointcmt.views.window import require_pyvista

ALPHA = 0.12
LARGEST = 4.0  # radii, twice what any two points of the unit sphere are apart
TRIANGLE, TETRAHEDRON = 5, 10  # VTK's numbers
NUDGE = 1e-4  # Delaunay's tetrahedra are undefined for points in one plane or on one sphere


def alpha_shape(points: NDArray[np.float32], alpha: float = ALPHA) -> Mesh:
    """Return the outside of the tetrahedra and triangles that fit into a small sphere.

    Holes wider than that stay open, thin parts become sheets. Where less than half of the points
    are part of it, the sphere is made half as large again. VTK computes it, of points that are
    moved by a random hair, the same in every call.

    Args:
        points: (N, C >= 3) finite floats, normalised to the unit sphere; of more channels the
            first three count.
        alpha: radius of the sphere, in units of `points`; 0.12 suits clouds of 512 points or more.

    Returns:
        A mesh whose vertices are some of the points.

    Raises:
        InputError: there are fewer than four points, or all on one line, or the `render` extra is
            not installed.
    """
    require_pyvista()
    import pyvista

    hair = np.random.default_rng(0).normal(scale=NUDGE, size=(len(points), 3))
    moved = points[:, :3].astype(np.float64) + hair
    with pyvista.vtk_verbosity("off"):
        while alpha < LARGEST:
            solid = pyvista.PolyData(moved).delaunay_3d(alpha=alpha)
            fitting = [np.ravel(solid.cells_dict.get(kind, ())) for kind in (TRIANGLE, TETRAHEDRON)]
            if 2 * len(np.unique(np.concatenate(fitting))) >= len(points) > 3:
                return _outside(solid)
            alpha *= 1.5
    raise InputError("a surface needs four points, not all of them on one line")


def _outside(solid: Any) -> Mesh:
    surface = solid.extract_surface(
        pass_pointid=False, pass_cellid=False, algorithm="dataset_surface"
    ).triangulate()
    faces = surface.faces.reshape(-1, 4)[:, 1:].astype(np.int64)
    return Mesh(np.asarray(surface.points, np.float64), faces)
