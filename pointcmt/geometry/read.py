"""One door for every file that holds an object: a cloud, or a mesh that is sampled."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.clouds import Cloud, require_cloud
from pointcmt.geometry.formats import parse
from pointcmt.geometry.formats.names import NORMALS, XYZ
from pointcmt.geometry.formats.source import Parsed
from pointcmt.geometry.mesh import as_mesh, require_channels
from pointcmt.geometry.resample import resample
from pointcmt.geometry.surface import draw, face_normals

DEFAULT_SAMPLES = 2048  # points drawn from a mesh when no count is given


def read_cloud(
    path: Path | str,
    channels: Sequence[str] = XYZ,
    points: int | None = None,
    *,
    seed: int = 0,
) -> Cloud:
    """Read the cloud of one object from a file.

    Clouds are resampled to `points` points by the rule of `resample`; meshes are sampled uniformly
    by area, and have the normals of their faces and the colours of their vertices. The coordinates
    are the file's; see `normalize` and `turn`.

    Columns have the names that the file gives them, in lower case; well-known ones are brought to
    nx, ny, nz (a normal), r, g, b (in [0, 1]) and intensity. See
    `pointcmt.geometry.formats.names.guess` for tables without names.

    Args:
        path: the file, its format known by its ending, one of `SUFFIXES`.
        channels: the columns wanted, by name: x, y and z first.
        points: number of points; None keeps a cloud as it is and draws 2,048 points from a mesh.
        seed: the same seed gives the same points.

    Raises:
        InputError: the format is unknown, the file is damaged or lacks a channel, or what it holds
            is not a cloud (see `require_cloud`) or a mesh with a surface.
    """
    path, channels = Path(path), tuple(channels)
    parsed = parse(path)
    if parsed.faces is not None and len(parsed.faces):
        count = DEFAULT_SAMPLES if points is None else points
        table = _sampled(parsed, str(path), channels, count, seed)
    else:
        require_channels(parsed.columns, channels, str(path))
        table = np.stack([parsed.columns[name] for name in channels], axis=1)
    cloud = require_cloud(table, str(path), len(channels))
    if points is not None:
        cloud = resample(cloud, points, seed)
    return Cloud(cloud, channels, parsed.up)


def read_points(path: Path | str, count: int | None = None, seed: int = 0) -> NDArray[np.float32]:
    """Return the points (N, 3) of `read_cloud`."""
    return read_cloud(path, points=count, seed=seed).points


def read_names(path: Path | str) -> tuple[str, ...]:
    """Return the names of the channels that the points of a file have; x, y, z for a surface.

    Raises:
        InputError: the format is unknown or the file is damaged.
    """
    parsed = parse(Path(path))
    surface = parsed.faces is not None and len(parsed.faces)
    return XYZ if surface else tuple(parsed.columns)


def _sampled(
    parsed: Parsed, where: str, channels: tuple[str, ...], count: int, seed: int
) -> NDArray[np.float64]:
    """Draw (count, C) from a surface: normals of the faces, other channels between vertices."""
    mesh = as_mesh(parsed, where)
    known = {name: values for name, values in parsed.columns.items() if name not in NORMALS}
    require_channels(known | dict.fromkeys(NORMALS, np.empty(0)), channels, where)
    try:
        chosen, weights = draw(mesh, count, seed)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    corners = mesh.faces[chosen]  # (count, 3)
    normals = face_normals(mesh.vertices[corners])[0]
    columns = [
        normals[:, NORMALS.index(name)]
        if name in NORMALS
        else (known[name][corners] * weights).sum(axis=1)
        for name in channels
    ]
    return np.stack(columns, axis=1)
