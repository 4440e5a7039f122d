"""Stereolithography: triangles as text or binary."""

import re

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import XYZ
from pointcmt.geometry.formats.source import Parsed, Source, truncated
from pointcmt.geometry.formats.tokens import floats, text_of

HEAD = 84  # bytes before the first binary triangle
TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
NAME = re.compile(rb"^[ \t]*(?:end)?solid\b.*?(?=\bfacet\s+normal\b|$)", re.I | re.M)
FACET = re.compile(rb"\bfacet\b", re.I)
CORNER = re.compile(rb"\bvertex\s+(\S+)\s+(\S+)\s+(\S+)", re.IGNORECASE)


def read_stl(source: Source) -> Parsed:
    """Read an STL file.

    A binary file may begin with `solid`, as text does, and may have bytes behind its triangles.
    """
    text = None if _is_counted(source.raw) else text_of(source.raw)
    corners = _binary(source.raw) if text is None or not _is_text(text) else _text(text)
    vertices = corners.reshape(-1, 3)
    faces = np.arange(len(vertices), dtype=np.int64).reshape(-1, 3)
    return Parsed(dict(zip(XYZ, vertices.T, strict=True)), faces)


def _is_counted(raw: bytes) -> bool:
    return len(raw) >= HEAD and len(raw) == HEAD + TRIANGLE.itemsize * _announced(raw)


def _is_text(raw: bytes) -> bool:
    return raw[:1024].lstrip()[:5].lower() == b"solid" and b"\0" not in raw[:4096]


def _announced(raw: bytes) -> int:
    return int.from_bytes(raw[80:HEAD], "little")


def _binary(raw: bytes) -> NDArray[np.float64]:
    if len(raw) < HEAD:
        raise InputError(f"it has {len(raw)} bytes, but an STL file is text or has {HEAD} or more")
    whole = (len(raw) - HEAD) // TRIANGLE.itemsize
    if whole < _announced(raw):
        raise truncated(whole, _announced(raw), "triangles")
    if not _announced(raw):
        raise InputError("its header announces no triangle")
    corners = np.frombuffer(raw, TRIANGLE, _announced(raw), HEAD)["corners"]  # (F, 3, 3)
    with np.errstate(invalid="ignore"):  # a signalling NaN is refused like any other
        return corners.astype(np.float64)


def _text(raw: bytes) -> NDArray[np.float64]:
    lower = raw.lower()
    body = NAME.sub(b"", raw.replace(b"\r", b"\n"))
    facets = len(FACET.findall(body))
    corners = CORNER.findall(body)
    if not facets:
        raise InputError("it has no facet; an STL file has a triangle or more")
    if lower.rfind(b"endsolid") < lower.rfind(b"endfacet") or len(corners) < 3 * facets:
        raise InputError("it ends before its `endsolid`; the file is truncated")
    if len(corners) != 3 * facets:
        raise InputError(f"{facets} facets have {len(corners)} vertices; each must have three")
    return floats(corners, "vertex").reshape(-1, 3, 3)
