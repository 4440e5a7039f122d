"""The names of channels: what files call them, and what columns without names must be."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

Column = TypeVar("Column")
XYZ = ("x", "y", "z")
NORMALS = ("nx", "ny", "nz")
COLORS = ("r", "g", "b")
UNITS = ("m", "cm", "mm", "km", "ft", "in")
ALIASES = {
    **{f"{word}{mark}{axis}": f"n{axis}" for word in ("n", "normal") for mark in ("", "_", ".")
       for axis in "xyz"},
    **{f"{word}{name}": name[0] for word in ("", "diffuse_") for name in ("red", "green", "blue")},
    **{f"{word}{axis}": axis for word in ("pos_", "position_", "point_", "coord_", "coord. ", "p")
       for axis in "xyz"},
    **{f"{axis}{mark}{unit}{end}": axis for unit in UNITS for axis in "xyz"
       for mark, end in (("[", "]"), (" [", "]"), ("(", ")"), (" (", ")"), ("_", ""))},
    **{f"{word}s{mark}{place}": before + axis for word, before in (("point", ""), ("normal", "n"))
       for mark in ":_" for place, axis in enumerate("xyz")},  # as ParaView writes them
    **dict(zip(("easting", "northing", "elevation"), "xyz", strict=True)),
    **dict.fromkeys(("i", "scalar_intensity", "reflectance"), "intensity"),
}  # fmt: skip
KNOWN = frozenset((*XYZ, *NORMALS, *COLORS, "intensity"))
ROUNDED = 1e-3  # how far above 1 a colour may be rounded
UNIT = 0.02  # how far the length of a vector that is read as a normal may be from 1


def plain(name: str) -> str:
    """Return a name without blanks and quotes around it, in lower case."""
    return name.strip().strip("\"'").strip().lower()


def channel(name: str) -> str:
    """Return our name of a column that a file calls `name`, such as `Red` or `normal_x`."""
    return ALIASES.get(plain(name), plain(name))


def channels(names: Sequence[str]) -> tuple[str, ...]:
    """Return our names of columns: an exact name goes before an alias, the first before another.

    What goes behind keeps the file's name, so that `x`, `px` are `x`, `px` and `px`, `id` are
    `x`, `id`.
    """
    found = by_channel({name: name for name in names})
    return tuple(channel(name) if found[channel(name)] == name else name for name in names)


def guess(rows: NDArray[Any], intensity_first: bool = False) -> tuple[str, ...]:
    """Name the columns of a table without a header, by their values.

    The first three are x, y and z. Three columns of unit length are a normal, three of whole
    numbers up to 255 a colour; a lone column that follows x, y and z is the intensity. Others are
    called after their place, `column7`.

    Args:
        rows: (N, C) numbers.
        intensity_first: whether seven columns are x y z intensity r g b, as in a .pts file.
    """
    names, width = list(XYZ), rows.shape[1]
    if intensity_first and width == 7 and _are_colors(rows[:, 4:]):
        names.append("intensity")
    while len(names) < width:
        triple = rows[:, len(names) : len(names) + 3]
        if NORMALS[0] not in names and are_normals(triple):
            names += NORMALS
        elif COLORS[0] not in names and _are_colors(triple):
            names += COLORS
        elif len(names) == len(XYZ) and width in (4, 7):
            names.append("intensity")
        else:
            names.append(f"column{len(names) + 1}")
    return tuple(names[:width])


def require_rows_are_points(shape: tuple[int, ...]) -> None:
    """Raise an `InputError` if a table (N, C) without names has fewer rows than columns."""
    if shape[0] == 1 and shape[1] > len(XYZ):
        raise InputError(f"it is one row of {shape[1]} values; a cloud has a row for each point")
    if 1 < shape[0] < shape[1] and shape[1] > len(XYZ):
        raise InputError(
            f"the array is {shape}, fewer points than channels; a cloud is (N, 3), a row a point, "
            "so transpose it"
        )


def are_normals(triple: NDArray[Any]) -> bool:
    """Tell whether rows (N, 3) are of unit length, all but a few."""
    if triple.shape[1] < 3 or not np.isfinite(triple).all():
        return False
    lengths = np.linalg.norm(triple.astype(np.float64), axis=1)
    return bool((np.abs(lengths - 1) < UNIT).mean() > 0.9)  # some points may lack a normal


def _are_colors(triple: NDArray[Any]) -> bool:
    if triple.shape[1] < 3 or not np.isfinite(triple).all():
        return False
    return bool((triple >= 0).all() and (triple <= 255).all() and (triple == triple.round()).all())


def by_channel(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return columns under our names; an exact name goes first, then the first alias."""
    found = {name: column for name, column in columns.items() if channel(name) == name}
    for name, column in columns.items():
        found.setdefault(channel(name), column)
    return found


def scale_colors(columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """Bring r, g and b to [0, 1], from 8 or 16 bits where their values tell.

    Floats that are in [0, 1] but for rounding stay, and are cut off at 1.
    """
    if not set(COLORS) <= set(columns) or not len(columns["r"]):
        return columns
    top = max(float(np.max(columns[name])) for name in COLORS)
    whole = all(columns[name].dtype.kind in "iu" for name in COLORS)
    if top <= 1 + ROUNDED and not whole:
        return {n: np.minimum(v, 1) if n in COLORS else v for n, v in columns.items()}
    most = 255.0 if top <= 255 else 65535.0
    return {n: v / most if n in COLORS else v for n, v in columns.items()}


def table(rows: NDArray[Any], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the columns of `rows` (N, C) by name; the first of two with one name counts."""
    columns: dict[str, NDArray[Any]] = {}
    for name, values in zip(names, rows.T, strict=False):
        columns.setdefault(name, values)
    return columns
