"""Perspective images of clouds: z-buffered square splats, shaded by depth (paper, Section 3.1).

The cameras are SimpleView's (Goyal et al., 2021): six orthogonal ones, 1.4 radii from the centre of
a cloud that is normalised to the unit sphere, with a field of view of 90 degrees. Two things differ
on purpose: near surfaces hide far ones (SimpleView averages the points that share a pixel), and
near is bright with a black background (SimpleView writes the raw distance).
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pointcmt.views.cameras import SIX_VIEWS, Views

FAR_SHADE = 0.2  # of the farthest visible point of the unit sphere: still apart from the background
NEAREST = 0.05  # points closer to the camera plane than this are behind the lens
LAST = 2**31 - 1  # the low half of a key holds LAST - index: the first point wins a tie
BLOCK = 2**22  # bytes of image drawn at a time: more would leave a processor's cache
CUDA_BLOCK = 2**28  # the same on a GPU: enough to keep it busy, little enough for any memory


@torch.no_grad()
def project_depth(
    points: Tensor,
    size: int = 128,
    *,
    splat: int = 3,
    views: Tensor | Views = SIX_VIEWS,
    distance: float = 1.4,
    fov: float = 90.0,
) -> Tensor:
    """Draw each cloud from each view; a pixel is as bright as the nearest point in it is near.

    A point becomes a square of `splat` x `splat` pixels, the same for near and far points. The
    brightness falls linearly from 1, one unit in front of the origin, to 0.2, one unit behind it,
    and is clamped outside; the background is 0. Points outside the image, points behind the camera
    and points that are not finite are not drawn, so clouds may be padded with NaN.

    Args:
        points: (B, N, 3) floats, normalised to the unit sphere; N may be 0.
        size: height and width of the images in pixels.
        splat: side of a point's square in pixels.
        views: (V, 3, 3) rotations from world to camera axes, see `pointcmt.views.cameras`.
        distance: from the camera to the origin, in units of `points`.
        fov: field of view in degrees, between 0 and 180.

    Returns:
        (B, V, 1, size, size) float32 in [0, 1] on the device of `points`, without gradient.

    Raises:
        TypeError: `points` is not a floating-point tensor.
        ValueError: a shape or a number is out of its range.
    """
    _check(points, size, splat, distance, fov)
    rotations = _rotations(views, points)
    images = points.new_empty(len(points), len(rotations), 1, size, size, dtype=torch.float32)
    for part in _blocks(images):
        cells, depth, visible = _place(points[part], rotations, size, splat, distance, fov)
        shade = _shade(depth, distance).masked_fill_(~visible, 0.0)
        _draw(cells, shade, splat, images[part, :, 0])
    return images


@torch.no_grad()
def project_color(
    points: Tensor,
    colors: Tensor,
    size: int = 128,
    *,
    splat: int = 3,
    views: Tensor | Views = SIX_VIEWS,
    distance: float = 1.4,
    fov: float = 90.0,
) -> Tensor:
    """Draw each cloud in its colours, darkened with depth as `project_depth` shades it.

    Args:
        points: (B, N, 3) floats; N at least 1.
        colors: (B, N, 3) floats in [0, 1], red, green and blue of each point.
        size: as in `project_depth`, like the arguments that follow.
        splat: side of a point's square in pixels.
        views: (V, 3, 3) rotations from world to camera axes.
        distance: from the camera to the origin.
        fov: field of view in degrees.

    Returns:
        (B, V, 3, size, size) float32 in [0, 1]. Of points at one depth the first in order wins.

    Raises:
        TypeError: `points` or `colors` is not a floating-point tensor.
        ValueError: a shape or a number is out of its range.
    """
    _check(points, size, splat, distance, fov)
    if colors.shape != points.shape or not colors.is_floating_point() or points.shape[1] == 0:
        raise ValueError(
            f"colors must be floats of the shape of points, (B, N, 3) with N >= 1, "
            f"got {colors.dtype} {tuple(colors.shape)} for {tuple(points.shape)}"
        )
    rotations = _rotations(views, points)
    images = points.new_empty(len(points), len(rotations), 3, size, size, dtype=torch.float32)
    for part in _blocks(images):
        cells, depth, visible = _place(points[part], rotations, size, splat, distance, fov)
        winner = cells.new_empty(*depth.shape[:2], size, size)
        _draw(cells, _key(depth).masked_fill_(~visible, 0), splat, winner)
        index = winner.bitwise_and_(LAST).neg_().add_(LAST).clamp_(max=depth.shape[2]).flatten(2)
        ink = colors[part, None].float().transpose(2, 3) * _shade(depth, distance).unsqueeze(2)
        ink = F.pad(ink, (0, 1))  # (b, V, 3, N + 1); index N, which stands for no point, is black
        images[part] = ink.gather(3, index.unsqueeze(2).expand(-1, -1, 3, -1)).view_as(images[part])
    return images


def _key(depth: Tensor) -> Tensor:
    """(B, V, N) depths to int64 keys: nearer is larger, then earlier is larger, 0 is nothing."""
    inverse = depth.reciprocal().view(torch.int32).long()  # positive floats sort as their bits
    index = torch.arange(depth.shape[2], device=depth.device)
    return inverse * 2**32 + (LAST - index)


def _place(
    points: Tensor, rotations: Tensor, size: int, splat: int, distance: float, fov: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return each point's canvas cell, its depth and whether it is drawn, each (B, V, N)."""
    axes = points.float().transpose(1, 2).unsqueeze(1)  # (B, 1, 3, N)
    right, down, depth = (_along(axes, rotations[:, row]) for row in range(3))  # (B, V, N) each
    depth = depth.add_(distance)
    scale = 0.5 * size / math.tan(math.radians(fov) / 2) / depth
    width = size + splat - 1
    shift = 0.5 * size + 0.5 * splat - 0.5  # from the image's centre to the splat's last cell
    column, row = (axis.mul_(scale).add_(shift).floor_() for axis in (right, down))
    visible = (depth > NEAREST) & _inside(column, width) & _inside(row, width)
    cells = row.mul_(width).add_(column).masked_fill_(~visible, 0.0).long()
    return cells, depth, visible


def _along(axes: Tensor, direction: Tensor) -> Tensor:
    """Return (B, V, N): the coordinate along `direction` (V, 3) of points `axes` (B, 1, 3, N).

    Written out, not as a matrix product, so that no batch size or device rounds otherwise.
    """
    x, y, z = direction[None, :, :, None].unbind(2)  # (1, V, 1) each
    return (x * axes[:, :, 0]).add_(y * axes[:, :, 1]).add_(z * axes[:, :, 2])


def _inside(cell: Tensor, width: int) -> Tensor:
    return (cell >= 0) & (cell < width)


def _shade(depth: Tensor, distance: float) -> Tensor:
    """Return 1 at depth `distance` - 1 and before, FAR_SHADE at `distance` + 1 and beyond."""
    slope = (1 - FAR_SHADE) / 2
    return (1 + slope * (distance - 1) - slope * depth).clamp_(FAR_SHADE, 1.0)


def _draw(cells: Tensor, keys: Tensor, splat: int, images: Tensor) -> None:
    """Fill images (B, V, S, S): each pixel with the largest key of the splats that cover it, or 0.

    A point is written once, to the last cell of its splat on a canvas that is `splat` - 1 cells
    larger than the image; the largest key in a window over the canvas is then the same as
    writing each splat in full, for a fraction of the scattered writes.
    """
    batch, views, size, _ = images.shape
    width = size + splat - 1
    canvas = keys.new_zeros(batch * views, width * width)
    canvas.scatter_reduce_(1, cells.flatten(0, 1), keys.flatten(0, 1), "amax")
    canvas = canvas.view(batch, views, width, width)
    rows = _window(canvas, 2, keys.new_empty(batch, views, size, width))
    _window(rows, 3, images)


def _window(canvas: Tensor, dim: int, best: Tensor) -> Tensor:
    """Fill `best` with the maximum over the neighbours along `dim` that `canvas` has to spare."""
    length = best.shape[dim]
    spare = canvas.shape[dim] - length
    torch.maximum(canvas.narrow(dim, 0, length), canvas.narrow(dim, spare, length), out=best)
    for offset in range(1, spare):
        torch.maximum(best, canvas.narrow(dim, offset, length), out=best)
    return best


def _blocks(images: Tensor) -> list[slice]:
    """Cut the batch into parts of about BLOCK bytes of image."""
    block = CUDA_BLOCK if images.is_cuda else BLOCK
    step = max(1, block // max(1, images[:1].numel() * images.element_size()))
    return [slice(start, start + step) for start in range(0, len(images), step)]


def _rotations(views: Tensor | Views, points: Tensor) -> Tensor:
    if views is SIX_VIEWS:
        return _six(points.device)
    rotations = torch.tensor(views) if not isinstance(views, Tensor) else views
    if rotations.dim() != 3 or rotations.shape[1:] != (3, 3):
        raise ValueError(f"views must be (V, 3, 3), got {tuple(rotations.shape)}")
    return rotations.to(points.device, torch.float32)


@functools.cache
def _six(device: torch.device) -> Tensor:
    """The usual views, copied to a device once: each copy waits for it."""
    return torch.tensor(SIX_VIEWS, device=device)


def _check(points: Tensor, size: int, splat: int, distance: float, fov: float) -> None:
    if not points.is_floating_point():
        raise TypeError(f"points must be floating-point, got {points.dtype}")
    if points.dim() != 3 or points.shape[2] != 3:
        raise ValueError(f"points must be (B, N, 3), got {tuple(points.shape)}")
    if size < 1 or splat < 1 or size + splat > 4096:  # beyond, float32 cannot number the cells
        raise ValueError(
            f"size and splat must be at least 1 and together at most 4096, got {size} and {splat}"
        )
    if not distance > 0 or not 0 < fov < 180:
        raise ValueError(f"distance must be > 0 and fov in (0, 180), got {distance} and {fov}")
