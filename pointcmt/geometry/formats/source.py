"""What a reader of one format gets, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

MAX_BYTES = 2 * 1024**3
FREE_BYTES = 64 * 1024**2  # what any file may take
FACTOR = 24  # and what each of its bytes may become


@dataclass(frozen=True)
class Source:
    """A file that was read whole.

    Attributes:
        path: where it lies; other files that it names lie in the same folder or below.
        raw: its bytes.
        paint: whether colours of faces, materials and textures are wanted, too.
    """

    path: Path
    raw: bytes
    paint: bool = False

    def require_room(self, size: int, what: str) -> None:
        """Refuse what would take more memory than the length of the file allows.

        Raises:
            InputError: `size` bytes are more than 64 MiB and 24 times the file.
        """
        if size > FREE_BYTES + FACTOR * len(self.raw):
            raise InputError(
                f"{what} would take {size} bytes, far more than a file of {len(self.raw)} bytes "
                "should unpack to"
            )


@dataclass(frozen=True)
class Material:
    """How a part of a mesh looks.

    Attributes:
        name: what faces call it.
        color: red, green and blue in [0, 1].
        opacity: 1 for solid, towards 0 for glass.
        picture: the bytes of a picture file, or None.
    """

    name: str
    color: tuple[float, float, float] | None = None
    opacity: float = 1.0
    picture: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Paint:
    """The looks of F triangles.

    Attributes:
        materials: those in use.
        material: (F,) indices into `materials`, or -1; None if there are none.
        coordinates: (F, 3, 2), where each corner lies in the picture, or None; NaN for faces
            without a place in it.
        colors: (F, 3) red, green, blue in [0, 1], or None.
        missing: the files that the mesh names and that cannot be opened.
    """

    materials: Sequence[Material] = ()
    material: NDArray[np.int64] | None = None
    coordinates: NDArray[np.float64] | None = None
    colors: NDArray[np.float64] | None = None
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Parsed:
    """What a file holds, before its values are checked.

    Attributes:
        columns: the values of the N points or vertices by channel, (N,) each.
        faces: (F, 3) indices into the vertices; None for a format or file without faces.
        up: the vertical axis, if the format settles it.
        paint: the looks of the faces, if they were asked for and are there.
    """

    columns: Mapping[str, NDArray[Any]]
    faces: NDArray[np.int64] | None = None
    up: str | None = None
    paint: Paint | None = None


Reader = Callable[[Source], Parsed]


def truncated(found: int, announced: int, what: str) -> InputError:
    """Return the error for a file that holds less than it announces."""
    return InputError(
        f"{found} {what}, but the header announces {announced}; the file is truncated"
    )
