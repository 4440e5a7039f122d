"""One sheet (PNG) that shows an object: its cloud, its projected and its rendered views."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pointcmt.files import write_beside
from pointcmt.views.cameras import Views, look_from, ring, six
from pointcmt.views.projection import project_color, project_depth
from pointcmt.views.rendering import render_views
from pointcmt.views.surfaces import Surface

SIDE = 160  # pixels of a small picture
GAP = 4
PAPER = 255


def draw_sheet(
    cloud: NDArray[np.float32],
    surfaces: Sequence[Surface] | None = None,
    up: Sequence[float] = (0.0, 1.0, 0.0),
) -> NDArray[np.uint8]:
    """Lay out what the networks see of one object.

    On the left is the whole cloud from an oblique view, coloured by height if it has no colours of
    its own; beside it are the six projected views and, of a mesh, six rendered ones below them.

    Args:
        cloud: (N, 3) in the unit sphere, or (N, 6) with colours from 0 to 1.
        surfaces: the mesh, if there is one and it can be rendered.
        up: the vertical.

    Returns:
        (H, W, 3) uint8.
    """
    points = torch.from_numpy(np.array(cloud[:, :3], np.float32))[None]
    colored = cloud.shape[1] == 6
    colors = torch.from_numpy(np.array(cloud[:, 3:], np.float32))[None] if colored else None
    projected = _projected(points, colors, six(up))
    if surfaces is None:
        rows = [projected[:3], projected[3:]]
    else:
        rows = [projected, list(render_views(surfaces, ring(6, 30.0, up), SIDE))]
    large = _oblique(points, colors, up, 2 * SIDE + GAP)
    grid = _stack([_stack(row, 1) for row in rows], 0)
    return _framed(_stack([large, grid], 1))


def save_sheet(sheet: NDArray[np.uint8], path: Path) -> None:
    """Write a sheet as PNG, whole or not at all.

    Raises:
        InputError: the place cannot be written.
    """
    from PIL import Image

    with write_beside(path) as fresh:
        Image.fromarray(sheet).save(fresh, format="png")


def _projected(
    points: torch.Tensor, colors: torch.Tensor | None, views: Views
) -> list[NDArray[np.uint8]]:
    if colors is None:
        images = project_depth(points, SIDE, views=views).expand(-1, -1, 3, -1, -1)
    else:
        images = project_color(points, colors, SIDE, views=views)
    return list(_bytes(images[0]))


def _oblique(
    points: torch.Tensor, colors: torch.Tensor | None, up: Sequence[float], size: int
) -> NDArray[np.uint8]:
    vertical = np.asarray(up, np.float64)
    front, right = -six(up)[:2, 2].astype(np.float64)
    view = look_from([0.8 * front + 0.6 * right + 0.45 * vertical], up)
    if colors is None:
        colors = _by_height(points, vertical)
    look: dict[str, Any] = {"splat": 4, "views": view, "distance": 3.0, "fov": 42.0}
    (image,) = _bytes(project_color(points, colors, size, **look)[0])
    return np.asarray(image)


def _by_height(points: torch.Tensor, vertical: NDArray[np.float64]) -> torch.Tensor:
    """Blue at the bottom, green in the middle, yellow at the top; (1, N, 3)."""
    height = points @ torch.tensor(vertical, dtype=torch.float32)  # (1, N)
    span = (height.max() - height.min()).clamp_min(1e-6)
    share = ((height - height.min()) / span).unsqueeze(2)  # (1, N, 1)
    low, middle, high = (
        torch.tensor(c) for c in ([0.25, 0.35, 0.95], [0.2, 0.8, 0.6], [1.0, 0.9, 0.3])
    )
    lower = low + (middle - low) * 2 * share
    return torch.where(share < 0.5, lower, middle + (high - middle) * (2 * share - 1))


def _bytes(images: torch.Tensor) -> NDArray[np.uint8]:
    """(V, 3, H, W) in [0, 1] to (V, H, W, 3) uint8."""
    return np.asarray(images.movedim(1, 3).mul(255).round().to(torch.uint8).numpy())


def _stack(images: Sequence[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    """Put pictures of one height (axis 1) or width (axis 0) side by side with gaps."""
    shape = list(images[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, PAPER, np.uint8)
    pieces = [piece for image in images for piece in (gap, image)][1:]
    return np.concatenate(pieces, axis)


def _framed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(image, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=PAPER)
