"""Projection of one cloud point by point in float64: the oracle of pointcmt.views.projection."""

import math

import numpy as np


def camera_coordinates(cloud, view, size, distance, fov):
    """(N, 3) points to column, row (in pixels, real numbers) and depth."""
    seen = np.asarray(cloud, np.float64) @ np.asarray(view, np.float64).T
    depth = seen[:, 2] + distance
    focal = size / 2 / math.tan(math.radians(fov / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return seen[:, 0] / depth * focal + size / 2, seen[:, 1] / depth * focal + size / 2, depth


def draw(cloud, view, size, splat, distance=1.4, fov=90.0, colors=None):
    """(N, 3) to a (size, size) depth shade, or with colours (N, 3) to (3, size, size)."""
    columns, rows, depths = camera_coordinates(cloud, view, size, distance, fov)
    buffer = np.full((size, size), np.inf)
    image = np.zeros((size, size, 1 if colors is None else 3))
    for index, (column, row, depth) in enumerate(zip(columns, rows, depths, strict=True)):
        if not np.isfinite([column, row, depth]).all() or depth <= 0.05:
            continue
        shade = np.clip(1.0 - 0.8 * (depth - (distance - 1)) / 2, 0.2, 1.0)
        ink = shade if colors is None else shade * np.asarray(colors[index], np.float64)
        left, top = (math.floor(c - splat / 2 + 0.5) for c in (column, row))
        for y in range(max(top, 0), min(top + splat, size)):
            for x in range(max(left, 0), min(left + splat, size)):
                if depth < buffer[y, x]:
                    buffer[y, x] = depth
                    image[y, x] = ink
    return image[..., 0] if colors is None else image.transpose(2, 0, 1)


def certain(cloud, views, size, splat, distance=1.4, fov=90.0, margin=1e-3):
    """Mask of the points whose splat does not hang on float32 rounding in any view."""
    keep = np.ones(len(cloud), bool)
    for view in views:
        for pixel in camera_coordinates(cloud, view, size, distance, fov)[:2]:
            fraction = (pixel - splat / 2 + 0.5) % 1.0
            keep &= (fraction > margin) & (fraction < 1 - margin)
    return keep
