"""numpy's .npy and .npz."""

import io
import math
import zipfile
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import (
    COLORS,
    NORMALS,
    XYZ,
    by_channel,
    guess,
    plain,
    require_rows_are_points,
    scale_colors,
    table,
)
from pointcmt.geometry.formats.source import Parsed, Source

POINTS = ("points", "xyz", "pos", "data", "arr_0")  # what the cloud of an .npz is called
FURTHER = {"normals": NORMALS, "normal": NORMALS, "colors": COLORS, "rgb": COLORS}
SHOWN = 8  # names in a message


def read_npy(source: Source) -> Parsed:
    """Read an array (N, C), or a structured one whose fields name the channels."""
    return _parsed(_array(io.BytesIO(source.raw), len(source.raw), source))


def read_npz(source: Source) -> Parsed:
    """Read the array called `points` (or `xyz`, `pos`, `data`), or the only one.

    Arrays `normals` and `colors` with a row for each point give further channels. No other is
    unpacked, and none to more than the length of the file allows.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(source.raw)) as archive:
            entries = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            parsed = _parsed(_member(archive, entries[_cloud(list(entries))], source))
            columns = dict(parsed.columns)
            for name in FURTHER:
                if name in entries:
                    rows = _member(archive, entries[name], source)
                    if rows.shape == (len(next(iter(columns.values()))), 3):
                        columns |= table(rows, FURTHER[name])
            return Parsed(scale_colors(columns))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(
            "its archive is damaged or cut, or of another kind than numpy's"
        ) from error


def _cloud(names: Sequence[str]) -> str:
    found = [name for name in POINTS if name in names] or (names if len(names) == 1 else [])
    if not found:
        shown = list(names[:SHOWN]) + ["..."] * (len(names) > SHOWN)
        raise InputError(f"has the arrays {shown}; name the cloud `points` or store it alone")
    return found[0]


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, source: Source) -> NDArray[Any]:
    source.require_room(entry.file_size, f"the array {entry.filename[:40]}")
    with archive.open(entry) as stream:
        return _array(stream, entry.file_size, source)


def _array(stream: IO[bytes], size: int, source: Source) -> NDArray[Any]:
    """Read one array after its header was compared with the `size` of what holds it."""
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0}
        header = read.get(version, np.lib.format.read_array_header_2_0)
        shape, fortran, dtype = header(stream)
    except ValueError as error:
        raise InputError("it is no array of numpy, or its header is damaged") from error
    if dtype.hasobject:
        raise InputError("it holds Python objects, which are not loaded; save plain numbers")
    needed = math.prod(shape) * dtype.itemsize
    if stream.tell() + needed > size:
        raise InputError(
            f"its header announces an array {shape} of {needed} bytes, but {size - stream.tell()} "
            "follow; the file is truncated"
        )
    data = stream.read(needed)
    if len(data) < needed:
        raise InputError("it ends before its array; the file is truncated")
    array = np.frombuffer(data, dtype, math.prod(shape)) if needed else np.zeros(shape, dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _parsed(array: NDArray[Any]) -> Parsed:
    if array.dtype.names is not None:
        return Parsed(scale_colors(_fields(array.reshape(-1))))
    shape = array.shape
    if array.dtype.kind not in "fiu" or array.ndim != 2:
        raise InputError(
            f"the array is {shape} {array.dtype}; a cloud is (N, 3) numbers, a row x y z a point"
        )
    require_rows_are_points(shape)
    if shape[1] < 3:
        raise InputError(f"the array is {shape}; a cloud is (N, 3) numbers, a row x y z a point")
    return Parsed(scale_colors(table(array, guess(array))))


def _fields(array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    triples = {**FURTHER, **dict.fromkeys(("position", *POINTS), XYZ)}
    columns: dict[str, NDArray[Any]] = {}
    for name in array.dtype.names or ():
        values = array[name]
        if values.ndim == 2 and values.shape[1] == 3 and name.lower() in triples:
            columns |= table(values, triples[name.lower()])
        elif values.ndim == 1 and values.dtype.kind in "fiu":
            columns.setdefault(plain(name), values)
    return by_channel(columns)
