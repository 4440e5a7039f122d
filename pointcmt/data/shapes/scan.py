"""Turning a mesh into a cloud such as a scanner gives: one-sided, with holes, noise and clutter."""

import numpy as np
from numpy.typing import NDArray

from pointcmt.geometry import Mesh, normalize
from pointcmt.geometry.surface import draw, face_normals

OVERSAMPLE = 2  # points drawn per point kept, so that occlusion has something to remove
FLOOR = -1  # in place of a face
HIDDEN = -1e6  # log-weight of a point that is taken only when too few others are left


def scan(
    mesh: Mesh, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Sample a mesh as a scanner would see it, and normalise the result into the unit sphere.

    The object is stretched by up to a third along each axis. Surfaces turned away from the scanner
    are sampled thinly, up to 40 % of the surface is cut off behind a plane, two holes are left,
    part of the floor may be kept, and Gaussian noise of 0.5 to 3 % of the object's radius is added.
    The object is turned about the vertical by up to 60 degrees and leans a little.

    Args:
        mesh: y up, closed or open.
        count: number of points.
        rng: decides everything.

    Returns:
        Points (count, 3) float32, in random order, and the face (count,) of each, or `FLOOR`.
    """
    stretched = Mesh(mesh.vertices * rng.uniform(0.75, 1.3, 3), mesh.faces)
    faces, weights = draw(stretched, OVERSAMPLE * count, rng)
    corners = stretched.vertices[stretched.faces[faces]]  # (2 * count, 3, 3)
    raw, normals = np.einsum("nk,nkc->nc", weights, corners), face_normals(corners)[0]
    points = normalize(raw, "unit-sphere").astype(np.float64)
    seen = _visibility(points, normals, rng)
    keys = seen + rng.gumbel(size=len(points))  # a weighted draw without repetition
    chosen = np.argpartition(keys, len(keys) - count)[-count:]
    chosen = rng.permutation(chosen)
    points, faces = points[chosen] @ _pose(rng), faces[chosen]
    faces[: _add_floor(points, rng)] = FLOOR
    points += rng.uniform(0.005, 0.03) * rng.standard_normal(points.shape)
    order = rng.permutation(count)
    return normalize(points[order], "unit-sphere"), faces[order]


def _visibility(
    points: NDArray[np.float64], normals: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the log-weight (N,) with which each point is seen."""
    camera, cut = _direction(rng, rng.uniform(-0.2, 0.8)), _direction(rng, rng.uniform(-0.6, 0.6))
    facing, depth = normals @ camera, points @ cut
    weights = np.log(np.where(facing > 0, 0.3 + facing, rng.uniform(0.05, 0.3)))
    removed = int(rng.uniform(0, 0.4) * len(points))
    weights[np.argpartition(depth, len(depth) - 1 - removed)[len(depth) - removed :]] = HIDDEN
    square = np.einsum("ni,ni->n", points, points)
    for center in points[rng.integers(len(points), size=2)]:
        distance = square - 2 * points @ center + center @ center  # squared
        weights[distance < rng.uniform(0.05, 0.3) ** 2] = HIDDEN
    return weights


def _direction(rng: np.random.Generator, rise: float) -> NDArray[np.float64]:
    angle, level = rng.uniform(0, 2 * np.pi), np.sqrt(1 - rise * rise)
    return np.array([level * np.cos(angle), rise, level * np.sin(angle)])


def _add_floor(points: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Replace the first points, up to a tenth, in place by points of the floor; return how many."""
    share = int(len(points) * max(0.0, rng.uniform(-0.1, 0.1)))
    spread = rng.uniform(0.5, 1.1) * rng.uniform(-1, 1, (share, 2))
    points[:share, 1] = points[:, 1].min()
    points[:share, [0, 2]] = spread
    return share


def _pose(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a rotation (3, 3) to multiply from the right: about y, then a lean about x."""
    turn, lean = rng.uniform(-np.pi / 3, np.pi / 3), rng.normal() * 0.1
    cos, sin = np.cos(turn), np.sin(turn)
    about_y = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    cos, sin = np.cos(lean), np.sin(lean)
    about_x = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    rotation: NDArray[np.float64] = about_y @ about_x
    return rotation
