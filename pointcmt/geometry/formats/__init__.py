"""The formats that are read, each by one reader, and why by that one.

Own parsers read OFF, OBJ, PLY, STL, PCD, glTF, arrays, text and KITTI's scans, because no library
gets these right and none keeps a budget. Measured on files as people have them: trimesh 5.2 drops
OBJ lines with tabs, uses 3 of 288 vertices where indices are negative, cuts concave polygons as
fans, refuses PLY with Latin-1, ragged lists or a byte behind the end, accepts files cut short, and
takes 3.3 GiB for a GLB of 288 bytes. meshio 5.3 loses the line behind a byte-order mark, refuses
comments behind numbers and lists in PLY, and ends the process on an OFF with a polygon. plyfile 1.1
refuses Latin-1 comments. pypcd4 1.5 refuses PCD without COUNT, with COUNT 0 or with types in lower
case, in several lines of its validator. Libraries do the rest: LZF (python-neo-lzf), ear clipping
(mapbox-earcut), LAS and LAZ (laspy), E57 (pye57); the last three allocate what a header says, so
the header is compared with the file first, and LAZ and E57 run in a process of their own.

A reader gets the bytes of the whole file. It checks what the header announces against their length
before it allocates, so that memory and time follow from the file's size, raises `InputError` with a
sentence, and runs no code of the file.
"""

from collections.abc import Mapping
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt.geometry.formats.arrays import read_npy, read_npz
from pointcmt.geometry.formats.gltf import read_glb, read_gltf
from pointcmt.geometry.formats.obj import read_obj
from pointcmt.geometry.formats.off import read_off
from pointcmt.geometry.formats.pcd import read_pcd
from pointcmt.geometry.formats.ply import read_ply
from pointcmt.geometry.formats.scans import read_e57, read_kitti, read_las
from pointcmt.geometry.formats.source import MAX_BYTES, Parsed, Reader, Source
from pointcmt.geometry.formats.stl import read_stl
from pointcmt.geometry.formats.strangers import stranger
from pointcmt.geometry.formats.text import read_text

MESH_READERS: Mapping[str, Reader] = {
    ".off": read_off,
    ".obj": read_obj,
    ".ply": read_ply,
    ".stl": read_stl,
    ".glb": read_glb,
    ".gltf": read_gltf,
}
CLOUD_READERS: Mapping[str, Reader] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".pcd": read_pcd,
    ".xyz": read_text,
    ".txt": read_text,
    ".csv": read_text,
    ".pts": read_text,
    ".asc": read_text,
    ".bin": read_kitti,
    ".las": read_las,
    ".laz": read_las,
    ".e57": read_e57,
}
READERS = {**CLOUD_READERS, **MESH_READERS}
SUFFIXES = tuple(READERS)


def parse(path: Path, *, paint: bool = False) -> Parsed:
    """Read one file whole; its values are as they stand there.

    Args:
        path: the file, its format known by its ending, in any case.
        paint: whether the looks of a mesh's faces are wanted.

    Raises:
        InputError: there is no such file, its format is unknown, it is empty, cut, damaged or
            larger than 2 GiB, or it would take far more memory than its length justifies, or more
            than there is.
    """
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise InputError(f"{path}: unknown format; use one of {', '.join(SUFFIXES)}")
    source = Source(path, _read_bytes(path), paint)
    told = stranger(source)
    try:
        if told and READERS[suffix] is read_text:  # to which lines of words may be names
            raise InputError(told)
        return READERS[suffix](source)
    except InputError as error:
        raise InputError(f"{path}: not a readable {suffix} file: {told or error}") from error
    except MemoryError as error:
        raise InputError(f"{path}: takes more memory to read than there is") from error
    except Exception as error:  # numpy and the other libraries raise anything on hostile bytes
        reason = told or "it is damaged"
        raise InputError(f"{path}: not a readable {suffix} file: {reason}") from error


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: has {size} bytes; a file may have {MAX_BYTES}")
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not raw or raw.isspace():
        raise InputError(f"{path}: the file is empty; a cloud or a mesh was expected")
    return raw
