"""Sampling the surface of a mesh: uniformly by area, or evenly spaced."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.mesh import Mesh
from pointcmt.geometry.resample import require_count

DENSITY = 4  # candidates per point of an even sample
Seed = int | np.random.Generator
Sampler = Callable[[Mesh, int, Seed], tuple[NDArray[np.float64], NDArray[np.float64]]]


def sample_mesh(
    mesh: Mesh, count: int, seed: Seed = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw points uniformly by area, with the normals of their faces.

    Faces without area (degenerate ones) receive no points.

    Args:
        mesh: the mesh.
        count: number of points.
        seed: the same seed gives the same points; a generator is drawn from.

    Returns:
        Points (count, 3) and unit normals (count, 3), float64 like the vertices.

    Raises:
        InputError: the mesh has no face with an area, or `count` is out of range.
    """
    chosen, weights = draw(mesh, count, seed)
    corners = mesh.vertices[mesh.faces[chosen]]  # (count, 3, 3)
    a, b, c = (weights[:, k, None] * corners[:, k] for k in range(3))  # (count, 3) each
    return a + b + c, face_normals(corners)[0]


def draw(mesh: Mesh, count: int, seed: Seed = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw places on the surface uniformly by area.

    Returns:
        The face (count,) of each place and the weights (count, 3) of its corners, which sum to 1.

    Raises:
        InputError: the mesh has no face with an area, or `count` is out of range.
    """
    require_count(count)
    _, areas = face_normals(mesh.vertices[mesh.faces])
    total = np.cumsum(areas)
    if len(total) == 0 or not 0 < total[-1] < np.inf:
        raise InputError("the mesh has no face with an area; it cannot be sampled")
    rng = np.random.default_rng(seed)
    chosen = np.searchsorted(total, rng.random(count) * total[-1], side="right")
    chosen = np.minimum(chosen, np.flatnonzero(areas)[-1])  # rounding at the upper end
    root, along = np.sqrt(rng.random(count)), rng.random(count)
    return chosen, np.stack([1 - root, root * (1 - along), root * along], axis=1)


def sample_mesh_evenly(
    mesh: Mesh, count: int, seed: Seed = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw points with even spacing, as Poisson-disc sampling does, with normals.

    Farthest point sampling picks them from four times as many uniform points, so every surface is
    covered and no two points are close; any first part of the result is even as well.

    Args:
        mesh: the mesh.
        count: number of points.
        seed: the same seed gives the same points; a generator is drawn from.

    Returns:
        Points (count, 3) and unit normals (count, 3), float64.

    Raises:
        InputError: as `sample_mesh`.
    """
    from pointcmt.native import farthest_point_sample

    require_count(DENSITY * count)
    points, normals = sample_mesh(mesh, DENSITY * count, seed)
    middle, size = points.mean(axis=0), np.ptp(points, axis=0).max()
    scaled = ((points - middle) / size).astype(np.float32)  # the op compares in float32
    chosen = farthest_point_sample(scaled[None], count)[0]
    return points[chosen], normals[chosen]


SAMPLERS: dict[str, Sampler] = {"uniform": sample_mesh, "even": sample_mesh_evenly}


def face_normals(
    corners: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return unit normals (F, 3), zero for degenerate faces, and areas (F,) of triangles.

    Args:
        corners: (F, 3, 3), three corners a triangle.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # an absurd size ends as an infinite area
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # (F, 3)
        length = np.linalg.norm(cross, axis=1)  # (F,)
        unit = np.divide(
            cross, length[:, None], out=np.zeros_like(cross), where=length[:, None] > 0
        )
    return unit, length / 2
