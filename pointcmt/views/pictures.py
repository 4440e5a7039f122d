"""The views of one object as pictures: drawn as the settings say, saved as PNG files."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import Mesh
from pointcmt.views.alpha_shape import alpha_shape
from pointcmt.views.cameras import Views, dodecahedron, ring, six
from pointcmt.views.projection import project_color, project_depth
from pointcmt.views.rendering import LOOKS, Look, renderer
from pointcmt.views.surfaces import Surface, read_surfaces

Source = Path | Mesh | NDArray[np.float32]

VIEW_SETS: dict[str, Callable[[ArrayLike], Views]] = {
    "six": six,
    "ring12": lambda up: ring(12, 30.0, up),
    "dodecahedron": dodecahedron,
}
UP = {"y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class ViewSettings:
    """How the pictures are made.

    Attributes:
        kind: `render` (meshes), `surface` (clouds, by `alpha_shape`) or `project` (clouds).
        views: a key of `VIEW_SETS`.
        size: height and width in pixels.
        up: the vertical of the objects, `y` or `z`.
        splat: side of a point's square in pixels, for clouds.
        look: how meshes and surfaces are drawn, `shaded` or as `normals`; see `render_views`.
        points: of each cloud whose `surface` is drawn; 0 for the other kinds.
    """

    kind: str
    views: str
    size: int
    up: str = "y"
    splat: int = 3
    look: Look = "shaded"
    points: int = 0

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            InputError: a setting is none of the known ones.
        """
        for name, value, known in (
            ("kind", self.kind, ("render", "surface", "project")),
            ("views", self.views, tuple(VIEW_SETS)),
            ("up", self.up, tuple(UP)),
            ("look", self.look, LOOKS),
        ):
            if value not in known:
                raise InputError(f"unknown {name} {value!r}: use one of {', '.join(known)}")

    @property
    def cameras(self) -> Views:
        """The views (V, 3, 3)."""
        return VIEW_SETS[self.views](UP[self.up])


@contextmanager
def drawing(settings: ViewSettings) -> Iterator[Callable[[Source], NDArray[np.uint8]]]:
    """Yield a function that draws one object after the other.

    It takes a mesh or its file; or a cloud (N, 3) in the unit sphere, or (N, 6) with red, green and
    blue from 0 to 1 in the last three channels. It returns (V, H, W) grey for a cloud without
    colours, else (V, H, W, 3), uint8; it raises an `InputError` if the mesh cannot be read or
    rendered, a `ValueError` if the cloud is out of its range.

    Args:
        settings: how.

    Raises:
        InputError: something is to be rendered and the `render` extra is not installed.
        ValueError: a setting is out of its range.
    """
    if settings.kind == "project":
        yield partial(_project, settings)
        return
    parts = _surface if settings.kind == "surface" else _parts
    with renderer(settings.size) as render:
        yield lambda source: render(parts(source), settings.cameras, settings.look)


def _surface(source: Source) -> Sequence[Surface]:
    return [Surface.of(alpha_shape(np.asarray(source, np.float32)))]


def _parts(source: Source) -> Sequence[Surface]:
    if isinstance(source, Path):
        return read_surfaces(source)
    if isinstance(source, Mesh):
        return [Surface.of(source)]
    raise ValueError("a cloud is projected, not rendered")


def _project(settings: ViewSettings, source: Source) -> NDArray[np.uint8]:
    points = torch.from_numpy(np.array(source, np.float32))[None]  # a copy: maps are read-only
    how: dict[str, Any] = {"splat": settings.splat, "views": settings.cameras}
    if points.shape[2] == 6:
        images = project_color(points[..., :3], points[..., 3:], settings.size, **how)[0]
        return _bytes(images.movedim(1, 3))
    return _bytes(project_depth(points, settings.size, **how)[0, :, 0])


def _bytes(images: torch.Tensor) -> NDArray[np.uint8]:
    return np.asarray(images.mul(255).round().to(torch.uint8).numpy())


def picture_paths(out: Path, stem: str, count: int) -> list[Path]:
    """Return `<out>/<stem>_001.png` and on."""
    return [out / f"{stem}_{number:03d}.png" for number in range(1, count + 1)]


def save(out: Path, stem: str, pictures: NDArray[np.uint8]) -> None:
    """Write the pictures of one object, each whole or not at all.

    Raises:
        InputError: the disk is full or cannot be written.
    """
    from PIL import Image

    paths = picture_paths(out, stem, len(pictures))
    fresh = paths[0].with_name(f".{paths[0].name}.{os.getpid()}")
    try:
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        for path, picture in zip(paths, pictures, strict=True):
            # Not write_beside: it syncs each file, which would take longer than drawing it.
            Image.fromarray(picture).save(fresh, format="png")
            fresh.replace(path)
    except OSError as error:
        raise InputError(
            f"{paths[0].parent}: cannot be written ({error.strerror or error}); "
            "the finished pictures are kept, run the same command again"
        ) from error
    finally:
        fresh.unlink(missing_ok=True)
