"""Scanners' formats: KITTI's .bin, and LAS, LAZ and E57 by the libraries that know them."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.apart import columns_apart
from pointcmt.geometry.formats.names import COLORS, XYZ, channel, scale_colors
from pointcmt.geometry.formats.source import Parsed, Source, truncated

FARTHEST = 1e5  # metres from the scanner
E57_HEAD = 48
LAS_HEAD, LAS_14_HEAD = 227, 255
LAS_RECORD = 54  # bytes of the shortest variable-length record
CLOUDCOMPARE = b"CCB"  # begins CloudCompare's own files, whose names end in .bin, too
PACKED_LAS = 0x80  # marks the point format of a LAZ file


def read_kitti(source: Source) -> Parsed:
    """Read a scan of KITTI: float32 x, y, z (up) and intensity a point, without any header."""
    if source.raw.startswith(CLOUDCOMPARE):
        raise InputError("it is CloudCompare's own format; save the cloud there as PLY or LAS")
    if not source.raw or len(source.raw) % 16:
        raise InputError(
            f"it has {len(source.raw)} bytes, but KITTI's .bin has 16 a point "
            "(float32 x, y, z, intensity); it is truncated or of another kind"
        )
    rows = np.frombuffer(source.raw, "<f4").reshape(-1, 4)
    finite = rows[np.isfinite(rows).all(axis=1)]
    if not ((np.abs(finite[:, :3]) < FARTHEST).all() and _are_intensities(finite)):
        raise InputError(
            "its values are no scan as KITTI writes it (float32 x, y, z, intensity, which is in "
            "[0, 1] or whole)"
        )
    return Parsed(dict(zip((*XYZ, "intensity"), rows.T, strict=True)), up="z")


def _are_intensities(rows: NDArray[np.float32]) -> bool:
    """Tell whether the fourth of x, y, z, intensity is one, and no x, y or z of rows of three.

    KITTI's are in [0, 1], which other scanners' drivers write in whole numbers up to 255 or 65535;
    coordinates are neither alone.
    """
    places, last = rows[:, :3], rows[:, 3]
    if not (last >= 0).all():
        return False
    if (last <= 1).all():
        return bool(((places < 0) | (places > 1)).any())
    return bool((last == last.round()).all() and (places != places.round()).any())


def read_las(source: Source) -> Parsed:
    """Read LAS or LAZ: coordinates in their unit, intensity, class and colours; z is up."""
    _require("laspy", "las")
    raw = source.raw
    if len(raw) < LAS_HEAD or not raw.startswith(b"LASF"):
        raise InputError("it is no LAS file, or cut within its header")
    _require_las_points(source)
    if raw[104] & PACKED_LAS:
        columns = columns_apart(source.path, f"{__name__}:las_columns")
    else:
        columns = las_columns(source.path)
    return Parsed(_eight_or_sixteen(columns), up="z")


def las_columns(path: Path) -> dict[str, NDArray[Any]]:
    """Return the columns of a LAS or LAZ file by laspy."""
    import laspy

    points = laspy.read(path)
    columns: dict[str, NDArray[Any]] = {axis: np.asarray(getattr(points, axis)) for axis in XYZ}
    for name in points.point_format.dimension_names:
        if channel(name) not in XYZ:
            columns.setdefault(channel(name), np.asarray(points[name]))
    return columns


def _require(library: str, extra: str) -> None:
    if importlib.util.find_spec(library) is None:
        raise InputError(f"this format needs {library}: pip install 'pointcmt[{extra}]'")


def _require_las_points(source: Source) -> None:
    """Compare the header with the file before the library allocates what it says."""
    raw = source.raw
    records = int.from_bytes(raw[100:104], "little")
    start, kind = int.from_bytes(raw[96:100], "little"), raw[104]
    size, count = int.from_bytes(raw[105:107], "little"), int.from_bytes(raw[107:111], "little")
    if raw[25] >= 4 and len(raw) >= LAS_14_HEAD:  # LAS 1.4 counts in 64 bits
        records += int.from_bytes(raw[243:247], "little")
        count = int.from_bytes(raw[247:255], "little")
    if records * LAS_RECORD > len(raw):
        raise InputError(f"its header announces {records} records, more than the file can hold")
    if kind & PACKED_LAS:
        source.require_room(count * size, "the compressed points")
    elif start + count * size > len(raw):
        raise truncated(max(len(raw) - start, 0) // max(size, 1), count, "points")


def _eight_or_sixteen(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """LAS colours have 16 bits; files that use eight of them are common."""
    if set(COLORS) <= set(columns):
        columns |= {name: columns[name].astype(np.uint16) for name in COLORS}
    return dict(scale_colors(columns))


def read_e57(source: Source) -> Parsed:
    """Read the scans of an E57 file, placed by their poses and joined."""
    _require("pye57", "e57")
    raw = source.raw
    if len(raw) < E57_HEAD or not raw.startswith(b"ASTM-E57"):
        raise InputError("it is no E57 file, or cut within its header")
    if int.from_bytes(raw[16:24], "little") > len(raw):
        raise truncated(len(raw), int.from_bytes(raw[16:24], "little"), "bytes")
    return Parsed(scale_colors(columns_apart(source.path, f"{__name__}:e57_columns")))


def e57_columns(path: Path) -> dict[str, NDArray[Any]]:
    """Return the columns of all scans of an E57 file by pye57."""
    import pye57

    file = pye57.E57(str(path))
    scans = [
        file.read_scan(i, colors=True, intensity=True, ignore_missing_fields=True)
        for i in range(file.scan_count)
    ]
    names = {f"cartesian{axis.upper()}": axis for axis in XYZ}
    names |= {f"color{word}": word[0].lower() for word in ("Red", "Green", "Blue")}
    names["intensity"] = "intensity"
    shared = [name for name in names if scans and all(name in scan for scan in scans)]
    return {names[name]: np.concatenate([scan[name] for scan in scans]) for name in shared}
