"""What a model states of its clouds: the names of the channels, and the vertical axis."""

from typing import Any

from pointcmt.errors import InputError
from pointcmt.geometry import AXES, XYZ

ANY = "any"  # of a student that was trained in every orientation


def require_channels(names: Any, where: str) -> tuple[str, ...]:
    """Return `names` as the channels of a point: x, y, z first, no name twice.

    Raises:
        InputError: they are not; the message begins with `where`.
    """
    listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not listed or tuple(names[:3]) != XYZ or len(set(names)) < len(names):
        raise InputError(f"{where}: channels are {names!r}, not different names after x, y, z")
    return tuple(names)


def require_vertical(up: str | None, where: str) -> str | None:
    """Return `up`: one of `pointcmt.geometry.AXES`, `ANY`, or None where it is not known.

    Raises:
        InputError: it is none of these; the message begins with `where`.
    """
    if up is not None and up not in (*AXES, ANY):
        raise InputError(f"{where}: up is {up!r}, not one of {', '.join((*AXES, ANY))}")
    return up


def unnamed_channels(count: int) -> tuple[str, ...]:
    """Return names for the channels of a model that states their number alone."""
    return (*XYZ, *(f"channel{i}" for i in range(len(XYZ), count)))
