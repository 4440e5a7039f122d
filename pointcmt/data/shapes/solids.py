"""The solids of which the objects are made: boxes, beams, turned bodies and tubes.

All have y up. A solid is a pair of vertices (V, 3) and faces (F, 3); `join` makes a model of them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointcmt.geometry import Mesh

Solid = tuple[NDArray[np.float64], NDArray[np.int64]]


class Model(NamedTuple):
    """An object.

    Attributes:
        mesh: all its solids.
        parts: (F,) the name of the part that each face belongs to.
    """

    mesh: Mesh
    parts: NDArray[np.str_]


SEGMENTS = 24  # corners of a turned body's outline
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
SIDES = np.array(
    [
        [[0, 1, 3], [0, 3, 2]],
        [[4, 6, 7], [4, 7, 5]],
        [[0, 4, 5], [0, 5, 1]],
        [[2, 3, 7], [2, 7, 6]],
        [[0, 2, 6], [0, 6, 4]],
        [[1, 5, 7], [1, 7, 3]],
    ]
).reshape(12, 3)


def box(center: ArrayLike, size: ArrayLike) -> Solid:
    """Return an axis-aligned box."""
    return CORNERS * np.asarray(size) + np.asarray(center), SIDES


def beam(start: ArrayLike, end: ArrayLike, width: float, depth: float | None = None) -> Solid:
    """Return a straight beam of rectangular section between two points, caps included.

    Args:
        start: (3,) middle of one end.
        end: (3,) middle of the other.
        width: its size across, in the direction nearest to x.
        depth: its size in the remaining direction; `width` by default.
    """
    a, b = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    along = b - a
    across = _perpendicular(along)
    third = np.cross(across, along)
    third *= (width if depth is None else depth) / np.linalg.norm(third)
    axes = np.stack([across * width, along, third])
    return CORNERS @ axes + (a + b) / 2, SIDES


def _perpendicular(along: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z = along
    across = np.array([y * y + z * z, -x * y, -x * z])  # x without its part along the beam
    length = float(np.linalg.norm(across))
    if length < 1e-6 * float(along @ along):
        return np.array([0.0, 0.0, 1.0])
    return across / length


def lathe(profile: ArrayLike, center: ArrayLike = (0.0, 0.0, 0.0), sides: int = SEGMENTS) -> Solid:
    """Turn a profile around the vertical through `center`.

    Args:
        profile: (k, 2) radii and heights, from bottom outside over the top to the inside.
        center: (3,) where the profile's origin stands.
        sides: corners of the outline; 4 gives a square with its corners on the axes.
    """
    outline = np.asarray(profile, dtype=np.float64)
    circle = _circle(sides)  # (sides, 2)
    vertices = np.empty((len(outline), sides, 3))
    vertices[:, :, [0, 2]] = outline[:, None, :1] * circle
    vertices[:, :, 1] = outline[:, None, 1]
    return vertices.reshape(-1, 3) + np.asarray(center), _rings(len(outline), sides)


def disc(radius: float, low: float, high: float) -> Solid:
    """Return a closed upright cylinder from height `low` to `high`."""
    return lathe([(0, low), (radius, low), (radius, high), (0, high)])


def tube(path: ArrayLike, radius: float, sides: int = 8) -> Solid:
    """Return an open tube along a path that lies in a plane of constant z.

    Args:
        path: (k, 3) points.
        radius: of the tube.
        sides: corners of its section.
    """
    line = np.asarray(path, dtype=np.float64)
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0], np.zeros(len(line))], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    circle = _circle(sides)
    offset = circle[:, :1] * normal[:, None] + circle[:, 1:] * np.array([0.0, 0.0, 1.0])
    vertices = line[:, None] + radius * offset  # (k, sides, 3)
    return vertices.reshape(-1, 3), _rings(len(line), sides)


def turned(solid: Solid, angle: float) -> Solid:
    """Return the solid turned about the vertical by `angle` radians."""
    vertices, faces = solid
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    return vertices @ turn, faces


def join(parts: Mapping[str, Sequence[Solid]]) -> Model:
    """Return the solids of all parts as one object, in their order."""
    solids = [solid for group in parts.values() for solid in group]
    sizes = [len(vertices) for vertices, _ in solids]
    starts = np.cumsum([0, *sizes[:-1]])
    faces = [faces + start for (_, faces), start in zip(solids, starts, strict=True)]
    mesh = Mesh(np.concatenate([vertices for vertices, _ in solids]), np.concatenate(faces))
    counts = [sum(len(faces) for _, faces in group) for group in parts.values()]
    return Model(mesh, np.repeat(np.array(list(parts), dtype=np.str_), counts))


def renamed_above(model: Model, part: str, height: float, name: str) -> Model:
    """Return the object with the faces of a part above a height as a part of another name."""
    middle = model.mesh.vertices[model.mesh.faces].mean(axis=1)  # (F, 3)
    above = (model.parts == part) & (middle[:, 1] > height)
    return Model(model.mesh, np.where(above, name, model.parts))


@cache
def _circle(sides: int) -> NDArray[np.float64]:
    angle = 2 * np.pi * np.arange(sides) / sides
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@cache
def _rings(rings: int, sides: int) -> NDArray[np.int64]:
    ring, side = np.meshgrid(np.arange(rings - 1), np.arange(sides), indexing="ij")
    a = ring * sides + side
    b = ring * sides + (side + 1) % sides
    quads = np.stack([a, a + sides, b + sides, a, b + sides, b], axis=-1)
    return quads.reshape(-1, 3)
