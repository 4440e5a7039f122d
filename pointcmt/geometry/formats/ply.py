"""Polygon File Format: the header; see `ply_body` for the elements."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.materials import read_beside
from pointcmt.geometry.formats.names import COLORS, XYZ, by_channel, scale_colors
from pointcmt.geometry.formats.off import require_indices
from pointcmt.geometry.formats.ply_body import TYPES, Element, Property, Ragged, Values, read_body
from pointcmt.geometry.formats.source import Material, Paint, Parsed, Source
from pointcmt.geometry.formats.strips import unrolled
from pointcmt.geometry.formats.tokens import as_utf8
from pointcmt.geometry.polygons import triangulate

END = b"end_header"
LARGEST_HEADER = 2**20
CORNERS = ("vertex_indices", "vertex_index")
PLACES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))


def read_ply(source: Source) -> Parsed:
    """Read a PLY file, as text or binary of either byte order; unknown properties are kept apart.

    Every element that the header counts must be there; bytes behind them are passed over.
    """
    raw = as_utf8(source.raw)
    encoding, elements, pictures, start = _header(raw)
    body = read_body(raw, start, encoding, elements)
    if "vertex" not in body:
        raise InputError("its header has no element vertex")
    columns = dict(scale_colors(_plain(body["vertex"])))
    faces = body.get("face", {})
    corners = _corners(faces)
    if corners is None and "tristrips" in body:
        strips = _corners(body["tristrips"])
        corners = unrolled(strips) if isinstance(strips, Ragged) else strips
    if corners is None or not set(XYZ) <= set(columns):
        return Parsed(columns)
    if not isinstance(corners, Ragged):
        raise InputError("its property vertex_indices is not a list")
    counts, indices = corners.counts, corners.values.astype(np.int64)
    require_indices(indices, len(columns["x"]))
    vertices = np.stack([columns[name] for name in XYZ], axis=1).astype(np.float64)
    triangles, owner = triangulate(vertices, counts, indices)
    paint = None
    if source.paint and len(triangles):
        places = _places(faces, columns, corners, indices)
        paint = _paint(source, faces, places, pictures, triangles, owner)
    return Parsed(columns, indices[triangles], paint=paint)


def _plain(element: Mapping[str, Values]) -> dict[str, NDArray[Any]]:
    return by_channel({n: v for n, v in element.items() if not isinstance(v, Ragged)})


def _corners(element: Mapping[str, Values]) -> Values | None:
    """Return the corners of faces; a list that stands alone is these, whatever it is called."""
    lists = [values for values in element.values() if isinstance(values, Ragged)]
    named = next((element[name] for name in CORNERS if name in element), None)
    return lists[0] if named is None and len(lists) == 1 else named


def _header(raw: bytes) -> tuple[str, list[Element], list[bytes], int]:
    """Return the encoding, the elements, the pictures named in comments, where the body starts."""
    head = raw[:LARGEST_HEADER]
    if not head.startswith(b"ply"):
        raise InputError("it does not begin with `ply`")
    if END not in head:
        raise InputError("its header does not end with `end_header`; the file is truncated")
    encoding, place = "", 0
    elements: list[Element] = []
    pictures: list[bytes] = []
    while place < len(head):
        line, place = _line(head, place)
        words = line.split()
        if words == [END]:
            return _known(encoding), list(map(_distinct, elements)), pictures, place
        if words[:1] == [b"format"] and len(words) > 1:
            encoding = words[1].decode("latin-1")
        elif words[:1] == [b"element"]:
            elements.append(_element(words))
        elif words[:1] == [b"property"]:
            _property(elements, words)
        elif words[:2] == [b"comment", b"TextureFile"]:
            pictures.append(line.split(None, 2)[2] if len(words) > 2 else b"")
    raise InputError("its header has no line `end_header`")


def _line(head: bytes, place: int) -> tuple[bytes, int]:
    """Return one line and where the next begins; LF, CR LF or CR ends it."""
    ends = [e for e in (head.find(b"\n", place), head.find(b"\r", place, place + 4096)) if e >= 0]
    if not ends:
        return head[place:], len(head)
    end = min(ends)
    return head[place:end], end + (2 if head[end : end + 2] == b"\r\n" else 1)


def _known(encoding: str) -> str:
    if encoding not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise InputError(f"its format is {encoding!r}, not ascii or binary")
    return encoding


def _element(words: list[bytes]) -> Element:
    if len(words) != 3 or not words[2].isdigit() or len(words[2]) > 18:
        raise InputError("a line of its header should be `element NAME COUNT`")
    return Element(words[1].decode("latin-1"), int(words[2]), [])


def _property(elements: list[Element], words: list[bytes]) -> None:
    kinds = [TYPES.get(word.decode("latin-1")) for word in words[1:-1] if word != b"list"]
    is_list = words[1:2] == [b"list"]
    if not elements or None in kinds or len(kinds) != 1 + is_list or len(words) != 3 + 2 * is_list:
        raise InputError("a line of its header should be `property [list TYPE] TYPE NAME`")
    size, value = (kinds[0], kinds[1]) if is_list else (None, kinds[0])
    if size and size.startswith("f"):
        raise InputError("a list in its header has a length that is not a whole number")
    elements[-1].properties.append(Property(words[-1].decode("latin-1"), str(value), size))


def _distinct(element: Element) -> Element:
    """Return an element whose properties have different names: the first of two keeps its own."""
    properties: dict[str, Property] = {}
    for place, one in enumerate(element.properties):
        name = f"{one.name} {place}" if one.name in properties else one.name
        properties[name] = replace(one, name=name)
    return replace(element, properties=list(properties.values()))


def _places(
    faces: Mapping[str, Values],
    columns: Mapping[str, NDArray[Any]],
    corners: Ragged,
    indices: NDArray[np.int64],
) -> NDArray[np.float64] | None:
    """Return the place of each corner in the picture, (corners, 2), if they have one."""
    wedges = faces.get("texcoord")
    if isinstance(wedges, Ragged) and np.array_equal(wedges.counts, 2 * corners.counts):
        return wedges.values.reshape(-1, 2).astype(np.float64)
    for names in PLACES:
        if set(names) <= set(columns):
            return np.stack([columns[name] for name in names], axis=1).astype(np.float64)[indices]
    return None


def _paint(
    source: Source,
    faces: Mapping[str, Values],
    places: NDArray[np.float64] | None,
    pictures: Sequence[bytes],
    triangles: NDArray[np.int64],
    owner: NDArray[np.int64],
) -> Paint:
    plain = _plain(faces)
    colors = None
    if set(COLORS) <= set(plain):
        scaled = scale_colors(plain)
        colors = np.stack([scaled[name] for name in COLORS], axis=1).astype(np.float64)[owner]
    if places is None or not pictures:
        return Paint(colors=colors)
    material = np.asarray(plain.get("texnumber", np.zeros(owner.max() + 1)), np.int64)[owner]
    material[(material < 0) | (material >= len(pictures))] = -1
    files = [read_beside(source.path, name) for name in pictures]
    names = [name.decode("utf-8", "replace") for name in pictures]
    missing = [name for name, file in zip(names, files, strict=True) if file is None]
    materials = [Material(name, picture=f) for name, f in zip(names, files, strict=True)]
    return Paint(materials, material, places[triangles], colors, missing)
