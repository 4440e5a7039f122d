"""Point Cloud Data files of the Point Cloud Library: ascii, binary and binary_compressed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import XYZ, by_channel, scale_colors
from pointcmt.geometry.formats.source import Parsed, Source, truncated
from pointcmt.geometry.formats.tokens import as_utf8, floats

HEADER_BYTES = 2**16
KINDS = {"F": "f", "I": "i", "U": "u"}
PACKED = ("rgb", "rgba")


@dataclass(frozen=True)
class _Header:
    names: list[str]
    dtypes: list[str]  # little endian, of one value
    counts: list[int]  # values of each field
    points: int
    data: str
    start: int


def read_pcd(source: Source) -> Parsed:
    """Read a PCD file, without the points that the format marks as missing returns.

    COUNT and POINTS may be missing (1 of each field, WIDTH times HEIGHT), COUNT may be 0 and TYPE
    in lower case, as several drivers write them. Fields of several values, padding and other names
    are passed over.
    """
    raw = as_utf8(source.raw)
    header = _header(raw)
    if header.data == "ascii":
        values = _text(raw, header)
    elif header.data == "binary":
        values = _rows(raw[header.start :], header)
    elif header.data == "binary_compressed":
        values = _compressed(source, header)
    else:
        raise InputError(f"its DATA is {header.data!r}, not ascii, binary or binary_compressed")
    columns = by_channel(values)
    for name in PACKED:
        if name in columns:
            columns |= _unpacked(columns.pop(name))
    columns = dict(scale_colors(columns))
    if set(XYZ) <= set(columns):
        # PCL marks the pixels without a return in an organised cloud by NaN in all coordinates.
        returned = ~np.logical_and.reduce([np.isnan(columns[name]) for name in XYZ])
        columns = {name: column[returned] for name, column in columns.items()}
    return Parsed(columns)


def _header(raw: bytes) -> _Header:
    entries: dict[str, list[str]] = {}
    place = 0
    while "DATA" not in entries:
        end = raw.find(b"\n", place, HEADER_BYTES)
        if end < 0:
            raise InputError(f"it has no line DATA in its first {HEADER_BYTES} bytes")
        key, *words = raw[place:end].decode("latin-1").split() or ["#"]
        if not key.startswith("#"):
            entries[key.upper()] = words
        place = end + 1
    names = entries.get("FIELDS") or entries.get("COLUMNS") or []
    sizes, types = _whole(entries, "SIZE", []), entries.get("TYPE", [])
    counts = _whole(entries, "COUNT", [1] * len(names))
    if not names or not len(names) == len(sizes) == len(types) == len(counts):
        raise InputError("its header has not as many of SIZE, TYPE and COUNT as FIELDS")
    dtypes = [_dtype(kind, size) for kind, size in zip(types, sizes, strict=True)]
    area = _whole(entries, "WIDTH", [0])[0] * _whole(entries, "HEIGHT", [1])[0]
    points = _whole(entries, "POINTS", [area])[0]
    data = entries["DATA"][0].lower() if entries["DATA"] else ""
    return _Header(names, dtypes, counts, points, data, place)


def _whole(entries: dict[str, list[str]], key: str, default: list[int]) -> list[int]:
    words = entries.get(key)
    if not words:
        return default
    if not all(word.isdecimal() and len(word) <= 18 for word in words):
        raise InputError(f"the line {key} of its header is not whole numbers")
    return [int(word) for word in words]


def _dtype(kind: str, size: int) -> str:
    name = f"<{KINDS.get(kind.upper(), '?')}{size}"
    if name[1:] not in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        raise InputError(f"its header has a field of type {kind} and {size} bytes")
    return name


def _text(raw: bytes, header: _Header) -> dict[str, NDArray[Any]]:
    rows = [words for words in map(bytes.split, raw[header.start :].splitlines()) if words]
    rows, width = rows[: header.points], sum(header.counts)
    cut = bool(rows) and len(rows[-1]) < width
    if len(rows) < header.points or cut:
        raise truncated(len(rows) - cut, header.points, "points")
    values = floats([row[:width] for row in rows], "point").reshape(-1, width)
    starts = np.cumsum(header.counts) - header.counts
    fields = zip(header.names, header.dtypes, header.counts, starts, strict=True)
    with np.errstate(invalid="ignore", over="ignore"):
        return {
            name: values[:, at].astype(kind) if name in PACKED else values[:, at]
            for name, kind, count, at in fields
            if count == 1
        }


def _rows(data: bytes, header: _Header) -> dict[str, NDArray[Any]]:
    width = _width(header)
    if len(data) < width * header.points:
        raise truncated(len(data) // width, header.points, "points")
    own = len(data) // max(header.points, 1)
    if own > width and own * header.points == len(data):
        raise InputError(f"its points have {own} bytes each, but its header announces {width}")
    offsets = np.cumsum([0, *_sizes(header)]).tolist()
    table = np.frombuffer(data, np.uint8, width * header.points).reshape(header.points, width)
    fields = zip(header.names, header.dtypes, header.counts, offsets[:-1], strict=True)
    return {
        name: np.ascontiguousarray(table[:, at : at + int(kind[2:])]).view(kind)[:, 0]
        for name, kind, count, at in fields
        if count == 1
    }


def _compressed(source: Source, header: _Header) -> dict[str, NDArray[Any]]:
    """Fields lie one after the other, each for all points, compressed by LZF."""
    import lzf

    body = source.raw[header.start :]
    packed, size = (int.from_bytes(body[i : i + 4], "little") for i in (0, 4))
    needed = _width(header) * header.points
    if size < needed or len(body) - 8 < packed:
        raise InputError(
            f"its header announces {header.points} points in {needed} bytes, but it holds "
            f"{min(size, needed)} in {len(body)}; the file is truncated"
        )
    source.require_room(size, "the compressed points")
    data = lzf.decompress(body[8 : 8 + packed], size)
    if data is None or len(data) < needed:
        raise InputError("its compressed points cannot be unpacked; the file is damaged")
    ends = np.cumsum([0, *_sizes(header)]) * header.points
    fields = zip(header.names, header.dtypes, header.counts, ends[:-1].tolist(), strict=True)
    return {
        name: np.frombuffer(data, kind, header.points, at)
        for name, kind, count, at in fields
        if count == 1
    }


def _sizes(header: _Header) -> list[int]:
    return [int(d[2:]) * count for d, count in zip(header.dtypes, header.counts, strict=True)]


def _width(header: _Header) -> int:
    width = sum(_sizes(header))
    if not width:
        raise InputError("its header announces points of no bytes")
    return width


def _unpacked(packed: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return red, green and blue, 0 to 255, of colours packed into 32 bits.

    Floats are these bits, or, as scripts write them, the whole number of 24 bits itself: colours
    with an opacity of 0 or 255 are as floats no whole numbers of that range, but for black.
    """
    with np.errstate(invalid="ignore"):
        numbers = (packed >= 0) & (packed < 2**24) & (packed == np.round(packed))
    as_bits = packed.dtype.kind == "f" and not numbers.all()
    bits = packed.astype("<f4").view("<u4") if as_bits else packed.astype("<u4")
    return {name: ((bits >> shift) & 255).astype(np.uint8) for name, shift in
            (("r", 16), ("g", 8), ("b", 0))}  # fmt: skip
