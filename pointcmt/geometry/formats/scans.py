"""Scanners' formats: KITTI's .bin, and LAS, LAZ and E57 by the libraries that know them."""

import io
from typing import Any

import numpy as np

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import COLORS, XYZ, channel, scale_colors
from pointcmt.geometry.formats.source import Parsed, Source, truncated

FARTHEST = 1e5  # metres from the scanner
E57_HEAD = 48
PACKED_LAS = 0x80  # marks the point format of a LAZ file


def read_kitti(source: Source) -> Parsed:
    """Read a scan of KITTI: float32 x, y, z (up) and intensity a point, without any header."""
    if not source.raw or len(source.raw) % 16:
        raise InputError(
            f"it has {len(source.raw)} bytes, but KITTI's .bin has 16 a point "
            "(float32 x, y, z, intensity); it is truncated or of another kind"
        )
    rows = np.frombuffer(source.raw, "<f4").reshape(-1, 4)
    with np.errstate(invalid="ignore"):
        sane = (np.abs(rows[:, :3]) < FARTHEST).all() and (rows[:, 3] >= 0).all()
    if np.isfinite(rows).all() and not sane:
        raise InputError("its values are no scan as KITTI writes it (float32 x, y, z, intensity)")
    return Parsed(dict(zip((*XYZ, "intensity"), rows.T, strict=True)), up="z")


def read_las(source: Source) -> Parsed:
    """Read LAS or LAZ: coordinates in their unit, intensity, class and colours; z is up."""
    try:
        import laspy
    except ImportError as error:
        raise InputError(
            "reading .las and .laz needs laspy: pip install 'pointcmt[las]'"
        ) from error
    raw = source.raw
    if len(raw) < 227 or not raw.startswith(b"LASF"):
        raise InputError("it is no LAS file, or cut within its header")
    _require_las_points(source)
    try:
        points = laspy.read(io.BytesIO(raw))
    except BaseException as error:  # a decoder written in Rust panics outside of Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise InputError("its points cannot be unpacked; the file is damaged or cut") from error
    columns: dict[str, Any] = {axis: np.asarray(getattr(points, axis)) for axis in XYZ}
    for name in points.point_format.dimension_names:
        if channel(name) not in XYZ:
            columns.setdefault(channel(name), np.asarray(points[name]))
    return Parsed(_eight_or_sixteen(columns), up="z")


def _require_las_points(source: Source) -> None:
    """Compare the header with the file before the library allocates what it says."""
    raw = source.raw
    start, kind = int.from_bytes(raw[96:100], "little"), raw[104]
    size, count = int.from_bytes(raw[105:107], "little"), int.from_bytes(raw[107:111], "little")
    if raw[25] >= 4 and len(raw) >= 255:  # LAS 1.4 counts in 64 bits
        count = int.from_bytes(raw[247:255], "little")
    if kind & PACKED_LAS:
        source.require_room(count * size, "the compressed points")
    elif start + count * size > len(raw):
        raise truncated(max(len(raw) - start, 0) // max(size, 1), count, "points")


def _eight_or_sixteen(columns: dict[str, Any]) -> dict[str, Any]:
    """LAS colours have 16 bits; files that use eight of them are common."""
    if set(COLORS) <= set(columns):
        columns |= {name: columns[name].astype(np.uint16) for name in COLORS}
    return dict(scale_colors(columns))


def read_e57(source: Source) -> Parsed:
    """Read the scans of an E57 file, placed by their poses and joined."""
    try:
        import pye57
    except ImportError as error:
        raise InputError("reading .e57 needs pye57: pip install 'pointcmt[e57]'") from error
    raw = source.raw
    if len(raw) < E57_HEAD or not raw.startswith(b"ASTM-E57"):
        raise InputError("it is no E57 file, or cut within its header")
    if int.from_bytes(raw[16:24], "little") > len(raw):
        raise truncated(len(raw), int.from_bytes(raw[16:24], "little"), "bytes")
    try:
        file = pye57.E57(str(source.path))
        count = sum(file.get_header(i).point_count for i in range(file.scan_count))
        source.require_room(count * 28, "the points")
        scans = [
            file.read_scan(i, colors=True, intensity=True, ignore_missing_fields=True)
            for i in range(file.scan_count)
        ]
    except InputError:
        raise
    except Exception as error:  # a C++ library's errors
        raise InputError("its scans cannot be read; the file is damaged or cut") from error
    names = {f"cartesian{axis.upper()}": axis for axis in XYZ}
    names |= {f"color{word}": word[0].lower() for word in ("Red", "Green", "Blue")}
    names["intensity"] = "intensity"
    shared = [name for name in names if scans and all(name in scan for scan in scans)]
    columns = {names[n]: np.concatenate([scan[n] for scan in scans]) for n in shared}
    return Parsed(scale_colors(columns))
