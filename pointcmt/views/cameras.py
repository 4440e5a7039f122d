"""Where the cameras stand, as rotations from world to camera axes.

A view is a (3, 3) rotation whose rows are the image's right, the image's down and the direction of
sight, in world coordinates. The camera looks at the origin from a distance that the projection or
the renderer chooses. World axes: y up, the convention of the ModelNet40 clouds; meshes with z up
pass `up=(0, 0, 1)`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Views = NDArray[np.float32]  # (V, 3, 3)


def look_from(directions: ArrayLike, up: ArrayLike = (0.0, 1.0, 0.0)) -> Views:
    """Return the views (V, 3, 3) of cameras that stand in `directions` and look at the origin.

    Args:
        directions: (V, 3), from the origin to each camera; the lengths do not matter.
        up: (3,), the world's vertical, which points upwards in the image. A camera right above or
            below the origin keeps the image axes that it has when tilted there from the front.

    Raises:
        ValueError: a direction, or `up`, is zero or not finite.
    """
    vertical = _unit(np.asarray(up, np.float64).reshape(1, 3), "up")[0]  # (3,)
    back = _unit(np.asarray(directions, np.float64).reshape(-1, 3), "directions")  # (V, 3)
    polar = np.abs(back @ vertical) > 1 - 1e-9  # (V,)
    front = _front(vertical)
    hint = np.where(polar[:, None], -np.sign(back @ vertical)[:, None] * front, vertical)
    right = _unit(np.cross(hint, back), "directions")  # (V, 3)
    down = np.cross(right, back)  # (V, 3)
    return np.stack([right, down, -back], axis=1).astype(np.float32) + np.float32(0)  # no -0


def ring(count: int, elevation: float = 30.0, up: ArrayLike = (0.0, 1.0, 0.0)) -> Views:
    """Return `count` upright views (count, 3, 3), evenly spaced around the vertical.

    Args:
        count: number of cameras, at least one; 12 at 30 degrees are those of MVCNN.
        elevation: degrees above the horizontal, between -90 and 90.
        up: (3,), the world's vertical.

    Raises:
        ValueError: `count` is below one.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    side, vertical, front = _frame(up)
    azimuth = np.arange(count)[:, None] * (2 * np.pi / count)  # (count, 1)
    flat = np.cos(azimuth) * front + np.sin(azimuth) * side
    angle = np.deg2rad(elevation)
    return look_from(np.cos(angle) * flat + np.sin(angle) * vertical, up)


def six(up: ArrayLike = (0.0, 1.0, 0.0)) -> Views:
    """Return the six orthogonal views (6, 3, 3): front, right, back, left, top and bottom.

    With y up the front camera stands at +z, with z up at -y; the right one at +x in both.
    """
    side, vertical, front = _frame(up)
    views = look_from([front, side, -front, -side, vertical, -vertical], up)
    return np.where(np.abs(views - np.round(views)) < 1e-6, np.round(views), views) + np.float32(0)


def dodecahedron(up: ArrayLike = (0.0, 1.0, 0.0)) -> Views:
    """Return the 20 views (20, 3, 3) from a regular dodecahedron's vertices (RotationNet, MV 20).

    Every image is upright. Mirror planes of the dodecahedron are the planes front-vertical,
    side-vertical and front-side, so no camera stands right above or below the object.
    """
    golden = (1 + 5**0.5) / 2
    cube = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    pairs = [(a / golden, b * golden) for a in (-1, 1) for b in (-1, 1)]
    rest = [corner for a, b in pairs for corner in ((0, a, b), (a, b, 0), (b, 0, a))]
    return look_from(np.array(cube + rest) @ _frame(up), up)


def _frame(up: ArrayLike) -> NDArray[np.float64]:
    """The directions (3, 3) of the right side, the vertical and the front, unit rows."""
    vertical = _unit(np.asarray(up, np.float64).reshape(1, 3), "up")[0]
    front = _front(vertical)
    return np.stack([np.cross(vertical, front), vertical, front])


def _front(vertical: NDArray[np.float64]) -> NDArray[np.float64]:
    """The horizontal direction of the front camera: +z when y is up, -y when z is up."""
    towards = np.array([0.0, 0.0, 1.0]) if abs(vertical[2]) < 0.5 else np.array([0.0, -1.0, 0.0])
    flat = towards - (towards @ vertical) * vertical
    return np.asarray(flat / np.linalg.norm(flat))


def _unit(vectors: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise ValueError(f"{name} must be finite and not zero")
    return np.asarray(vectors / lengths)


SIX_VIEWS: Views = six()  # (6, 3, 3): front, right, back, left, top, bottom, as in SimpleView
DODECAHEDRON_VIEWS: Views = dodecahedron()  # (20, 3, 3)
for _views in (SIX_VIEWS, DODECAHEDRON_VIEWS):
    _views.setflags(write=False)
