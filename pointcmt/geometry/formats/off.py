"""Object File Format: OFF with normals (N), colours (C) or texture coordinates (ST) before it."""

import re
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import COLORS, NORMALS, XYZ, are_normals, scale_colors, table
from pointcmt.geometry.formats.source import Parsed, Source, truncated
from pointcmt.geometry.formats.tokens import floats, integers, lines_of
from pointcmt.geometry.polygons import triangulate

# ModelNet's archive runs the header into the counts (`OFF490 518 0`); files converted from PLY
# keep a line `end_header` after the counts.
HEADER = re.compile(rb"((?:ST|C|N)*)(4?n?)OFF(?![A-Za-z])\s*(BINARY)?", re.IGNORECASE)
LEFTOVER = b"end_header"


def read_off(source: Source) -> Parsed:
    """Read an OFF file; every vertex and face that its header counts must be there."""
    lines = [line for line in map(_bare, lines_of(source.raw)) if line and line != LEFTOVER]
    match = HEADER.match(lines[0]) if lines else None
    if match:
        lines[0] = lines[0][match.end() :]
        if match[3] or match[2]:
            raise InputError("a binary or four-dimensional OFF file is not read; save it as text")
    if lines and not lines[0]:
        lines.pop(0)
    kinds = match[1].upper() if match else b""
    n_vertices, n_faces = _counts(lines)
    rows = [line.split() for line in lines[1:]]
    count = n_vertices + n_faces
    if len(rows) < count or _are_cut(rows[:n_vertices]) or not _are_faces(rows[n_vertices:count]):
        rows = [lines[0].split()[3:], *rows]  # behind the counts, if lines end nowhere
        rows = _regrouped(rows, n_vertices, n_faces, _row_width(rows[1 : n_vertices + 1], kinds))
    width = min(map(len, rows[:n_vertices]), default=3)
    values = floats([row[:width] for row in rows[:n_vertices]], "vertex")
    values = values.reshape(-1, width)  # (V, 3 or more)
    columns = scale_colors(table(values, _names(values, kinds)))
    return Parsed(columns, _faces(values[:, :3], rows[n_vertices:count]))


def _bare(line: bytes) -> bytes:
    return line.partition(b"#")[0].strip() if b"#" in line else line.strip()


def _counts(lines: list[bytes]) -> tuple[int, int]:
    while len(lines) > 1 and lines[0].isdigit():  # one a line
        lines[:3] = [b" ".join(lines[:3])]
    words = lines[0].split() if lines else []
    if len(words) < 2 or not all(word.isdigit() for word in words[:2]):
        raise InputError("its header has no counts of vertices and faces")
    return int(words[0]), int(words[1])


def _names(values: NDArray[np.float64], kinds: bytes) -> tuple[str, ...]:
    """Name the columns; MeshLab writes colours (r g b a) before normals, others after them."""
    both = b"N" in kinds and b"C" in kinds and values.shape[1] >= 10
    if both and are_normals(values[:, 7:10]) and not are_normals(values[:, 3:6]):
        return (*XYZ, *COLORS, "alpha", *NORMALS)
    return XYZ + (NORMALS if b"N" in kinds else ()) + (COLORS if b"C" in kinds else ())


def _row_width(rows: list[list[bytes]], kinds: bytes) -> int:
    """Return how many words a vertex has: as in the rows if they are alike, or by the header."""
    widths = {len(row) for row in rows[:-1]}
    if len(rows) > 2 and len(widths) == 1 and min(widths) >= 3:
        return widths.pop()
    if b"C" in kinds:  # three or four numbers a colour
        raise InputError("its coloured vertices are not each in one line, or it is truncated")
    return 3 + 3 * (b"N" in kinds) + 2 * (b"ST" in kinds)


def _are_cut(rows: list[list[bytes]]) -> bool:
    """Tell whether vertices are not one in each row."""
    return any(len(row) < 3 for row in rows)


def _are_faces(rows: list[list[bytes]]) -> bool:
    """Tell whether every row begins with the number of its corners and has them."""
    return all(row[0].isdigit() and int(row[0][:9]) < len(row) for row in rows)


def _regrouped(
    rows: list[list[bytes]], n_vertices: int, n_faces: int, width: int
) -> list[list[bytes]]:
    """Break the words into rows anew, for a file with other line ends than the usual ones.

    Faces keep their lines where each has one; else they are polygons without colours, and use up
    all words, so that no colour of a file that was cut is taken for a face.
    """
    words = [word for row in rows for word in row]
    place = width * n_vertices
    if place > len(words):
        raise truncated(len(words) // width, n_vertices, "vertices")
    vertices = [words[i : i + width] for i in range(0, place, width)]
    lines = _rows_behind(rows, place)
    if lines is not None and len(lines) == n_faces and _are_faces(lines):
        return vertices + lines
    faces = []
    while place < len(words) and words[place].isdigit() and int(words[place][:9]) >= 3:
        end = place + 1 + int(words[place][:9])
        faces.append(words[place:end])
        place = end
    if place != len(words) or len(faces) != n_faces:
        found = len(faces) if lines is None else min(len(lines), len(faces))
        raise truncated(min(found, n_faces - 1), n_faces, "faces")
    return vertices + faces


def _rows_behind(rows: list[list[bytes]], words: int) -> list[list[bytes]] | None:
    """Return the rows behind so many words, or None if these end within a row."""
    ends = list(accumulate(map(len, rows), initial=0))
    return [row for row in rows[ends.index(words) :] if row] if words in ends else None


def _faces(vertices: NDArray[np.float64], rows: list[list[bytes]]) -> NDArray[np.int64]:
    counts = integers([row[0] for row in rows], "the size of a face")  # (P,)
    corners = [row[1 : 1 + count] for row, count in zip(rows, counts.tolist(), strict=True)]
    indices = integers((word for row in corners for word in row), "a corner of a face")
    require_indices(indices, len(vertices))
    triangles, _ = triangulate(vertices, counts, indices)
    return indices[triangles]


def require_indices(indices: NDArray[np.int64], vertices: int) -> None:
    """Raise an `InputError` unless all `indices` are in [0, vertices)."""
    if len(indices) and not (indices.min() >= 0 and indices.max() < vertices):
        raise InputError(f"a face names a vertex that is not among the {vertices}")
