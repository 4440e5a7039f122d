"""Wavefront OBJ: vertices, polygons with texture coordinates, and the names of materials."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.materials import read_materials
from pointcmt.geometry.formats.names import COLORS, XYZ, scale_colors, table
from pointcmt.geometry.formats.off import require_indices
from pointcmt.geometry.formats.source import Paint, Parsed, Source, truncated
from pointcmt.geometry.formats.tokens import floats, integers, lines_of, text_of
from pointcmt.geometry.polygons import triangulate

# What writers count in comments above the first vertex (`# Vertices: 64`, `# 64 vertices`).
COUNTED = re.compile(
    rb"#\s*(?:(vertices|faces)\s*[:=]?\s*(\d{1,15})|(\d{1,15})\s+(vertices|faces))\s*$", re.I
)
# A comment, which goes on to its line's end, or a line's end that continues the line.
CONTINUED = re.compile(rb"(#[^\r\n]*)|\\[ \t]*\r?\n")


@dataclass
class _Lines:
    """The lines of each kind, split into words."""

    vertices: list[list[bytes]] = field(default_factory=list)
    places: list[list[bytes]] = field(default_factory=list)  # texture coordinates
    corners: list[bytes] = field(default_factory=list)  # of all faces, `7/8/9`
    counts: list[int] = field(default_factory=list)  # corners of each face
    base: list[tuple[int, int]] = field(default_factory=list)  # v and vt lines above each face
    material: list[int] = field(default_factory=list)  # of each face, -1 before the first
    materials: dict[bytes, int] = field(default_factory=dict)
    libraries: list[bytes] = field(default_factory=list)
    counted: dict[bytes, int] = field(default_factory=dict)
    curved: bool = False  # there are surfaces whose vertices are no points of theirs
    structured: bool = False  # there are groups, materials or pictures' places, as meshes have


def read_obj(source: Source) -> Parsed:
    """Read an OBJ file; negative indices count back from their own line.

    Curves, surfaces, lines and points are passed over. The format counts nothing, so that a file
    is known to be cut only by an unfinished line, by a comment that counts, or where it ends
    without a line's end before all its vertices are used.
    """
    raw = text_of(source.raw)
    lines = _sort(lines_of(CONTINUED.sub(lambda match: match[1] or b" ", raw)))
    if not lines.vertices:
        raise InputError("it has no line `v x y z`, as every OBJ file has")
    if lines.curved and not lines.corners:
        raise InputError("it holds curved surfaces, which are not read; save it as polygons")
    ended = raw.endswith((b"\n", b"\r"))
    columns, n_vertices = _vertices(lines.vertices, ended), len(lines.vertices)
    counts = np.array(lines.counts, np.int64)
    base = np.array(lines.base, np.int64).reshape(-1, 2)
    words = [corner.split(b"/", 2) for corner in lines.corners]
    indices = _absolute([word[0] for word in words], base[:, 0], counts)
    require_indices(indices, n_vertices)
    if not ended:
        _require_whole(lines, indices, raw.splitlines()[-1])
    vertices = np.stack([columns[name] for name in XYZ], axis=1)
    triangles, owner = triangulate(vertices, counts, indices)
    _require_counted(lines, max(len(counts), len(triangles)))
    paint = None
    if source.paint and len(triangles):
        coordinates = _coordinates(words, lines, base[:, 1], counts)
        names = list(lines.materials)
        materials, missing = read_materials(source.path, lines.libraries, names)
        places = None if coordinates is None else coordinates[triangles]
        paint = Paint(materials, np.array(lines.material, np.int64)[owner], places, missing=missing)
    return Parsed(columns, indices[triangles], paint=paint)


def _sort(lines: Sequence[bytes]) -> _Lines:
    found, material = _Lines(), -1
    for line in lines:
        words = line.split()
        if not words:
            continue
        kind = words[0]
        if kind in (b"v", b"vt", b"f") and b"#" in line:
            words = line.partition(b"#")[0].split()
        if kind == b"v":
            found.vertices.append(words[1:])
        elif kind == b"vt":
            found.places.append(words[1:])
        elif kind == b"f":
            found.corners += words[1:]
            found.counts.append(len(words) - 1)
            found.base.append((len(found.vertices), len(found.places)))
            found.material.append(material)
        elif kind == b"usemtl":
            material = found.materials.setdefault(_rest(line), len(found.materials))
        elif kind == b"mtllib":
            found.libraries.append(_rest(line))
        elif kind.startswith(b"#") and not found.vertices:
            _count(found, line)
        found.curved |= kind == b"surf"
        found.structured |= kind in (b"vt", b"g", b"s", b"usemtl")
    return found


def _rest(line: bytes) -> bytes:
    return line.split(None, 1)[1].strip() if len(line.split(None, 1)) > 1 else b""


def _count(found: _Lines, line: bytes) -> None:
    match = COUNTED.match(line.strip())
    if match:
        found.counted[(match[1] or match[4]).lower()] = int(match[2] or match[3])


def _vertices(rows: list[list[bytes]], ended: bool) -> dict[str, NDArray[np.float64]]:
    """Columns x, y, z and, where every line has them, r, g and b."""
    if len(rows[-1]) < 3 and not ended:
        raise InputError("its last line has no whole vertex; the file is truncated")
    width = min(map(len, rows))
    width = width if width in (6, 7) else 3  # a fourth number alone is a weight
    values = floats([row[:width] for row in rows], "vertex", width)
    weighted = width == 7 and bool((values[:, 3] == 1).all()) and not (values[:, 6] == 1).all()
    names = (*XYZ, *["weight"] * weighted, *COLORS, "alpha")
    return dict(scale_colors(table(values, names)))


def _absolute(
    words: list[bytes], base: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return indices from 0; `base` (P,) is how many were defined above each polygon."""
    indices = integers(words, "a corner of a face")
    if len(indices) and not indices.all():
        raise InputError("a face names vertex 0, but they count from 1")
    return np.where(indices < 0, indices + np.repeat(base, counts), indices - 1)


def _require_whole(lines: _Lines, indices: NDArray[np.int64], last: bytes) -> None:
    """Refuse a file whose last line has no end, unless that line is whole as it stands."""
    kind = last.split()[0] if last.split() else b""
    if kind.startswith(b"#") or kind in (b"s", b"l", b"p"):
        return
    unused = not len(indices) or indices.max() + 1 < len(lines.vertices)
    unfinished = bool(lines.counts) and lines.counts[-1] < 3
    whole = not unfinished and last.split()[:1] == [b"f"] and _like_others(lines)
    if unfinished or (unused and not whole and (lines.counts or lines.structured)):
        raise InputError("it ends within a line, before all vertices are used; it is truncated")


def _like_others(lines: _Lines) -> bool:
    """Tell whether the last face has as many corners as others, each written like the first."""
    first, last = lines.corners[0], lines.corners[-1]
    alike = first.count(b"/") == last.count(b"/") and not last.endswith(b"/")
    return alike and lines.counts[-1] >= min(lines.counts[:-1], default=3)


def _require_counted(lines: _Lines, faces: int) -> None:
    for what, found in ((b"vertices", len(lines.vertices)), (b"faces", faces)):
        if found < lines.counted.get(what, 0):
            raise truncated(found, lines.counted[what], what.decode())


def _coordinates(
    words: list[list[bytes]], lines: _Lines, base: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Return the place of each corner in the picture, (corners, 2); NaN where it has none."""
    if not lines.places or not all(len(row) > 1 for row in lines.places):
        return None
    places = floats([row[:2] for row in lines.places], "texture coordinate")
    named = [word[1] if len(word) > 1 else b"" for word in words]
    has = np.array([bool(word) for word in named])
    indices = np.zeros(len(named), np.int64)
    filled = integers((word or b"1" for word in named), "a texture coordinate of a face")
    indices = np.where(filled < 0, filled + np.repeat(base, counts), filled - 1)
    has &= (indices >= 0) & (indices < len(places))
    return np.where(has[:, None], places[np.where(has, indices, 0)], np.nan)
