"""glTF 2.0, as .glb or .gltf: the parts of a scene, placed by their transforms; y is up."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.accessors import Accessors
from pointcmt.geometry.formats.gltf_nodes import placed_meshes
from pointcmt.geometry.formats.gltf_paint import PartPaint, joined_paint, part_paint
from pointcmt.geometry.formats.materials import from_data_uri, read_uri
from pointcmt.geometry.formats.names import COLORS, XYZ
from pointcmt.geometry.formats.source import Parsed, Source
from pointcmt.geometry.formats.tokens import text_of

JSON_CHUNK, BINARY_CHUNK = b"JSON", b"BIN\0"
PART_BYTES = 2000  # what a part takes beside its arrays
POINTS, TRIANGLES, STRIP, FAN = 0, 4, 5, 6
DRACO = "KHR_draco_mesh_compression"  # where it is not required, plain values may stand beside it
# Extensions that a scene may require: they change looks, or what is read all the same.
KNOWN = re.compile(r"KHR_(materials_\w+|texture_\w+|mesh_quantization|lights_\w+)|EXT_texture_\w+")


def read_glb(source: Source) -> Parsed:
    """Read a binary glTF file."""
    raw = source.raw
    if not raw.startswith(b"glTF"):
        raise InputError("it does not begin as a GLB file")
    _require_version(int.from_bytes(raw[4:8], "little"))
    length = int.from_bytes(raw[8:12], "little")
    if length > len(raw):
        raise InputError(
            f"it has {len(raw)} bytes, but its header announces {length}; the file is truncated"
        )
    chunks: dict[bytes, bytes] = {}
    place = 12
    while place + 8 <= length:
        size, kind = int.from_bytes(raw[place : place + 4], "little"), raw[place + 4 : place + 8]
        if place + 8 + size > len(raw):
            raise InputError("one of its parts is longer than the file; it is truncated")
        chunks.setdefault(kind, raw[place + 8 : place + 8 + size])
        place += 8 + size
    if JSON_CHUNK not in chunks:
        raise InputError("it has no description (chunk JSON)")
    return _scene(source, chunks[JSON_CHUNK], chunks.get(BINARY_CHUNK))


def read_gltf(source: Source) -> Parsed:
    """Read a glTF file; its buffers are inside it, or beside it in the same folder or below."""
    return _scene(source, text_of(source.raw), None)


def _scene(source: Source, description: bytes, binary: bytes | None) -> Parsed:
    tree = _tree(description)
    buffers = [_buffer(source, one, binary) for one in tree.get("buffers", [])]
    parts = list(_parts(source, tree, Accessors(tree, buffers, source)))
    clouds = [part for part in parts if not len(part.faces)]
    parts = [part for part in parts if len(part.faces)] or clouds
    vertices = np.concatenate([part.vertices for part in parts] or [np.zeros((0, 3))])
    columns = dict(zip(XYZ, vertices.T, strict=True))
    if parts and all(part.colors is not None for part in parts):
        colors = np.concatenate([part.colors for part in parts if part.colors is not None])
        columns |= dict(zip(COLORS, colors.T, strict=True))
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = [part.faces + offset for part, offset in zip(parts, offsets, strict=False)]
    joined = np.concatenate(faces) if faces else None
    paint = joined_paint(source, tree, buffers, parts) if source.paint and parts else None
    return Parsed(columns, joined, "y", paint)


def _tree(description: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(description)
    except (ValueError, RecursionError) as error:
        raise InputError("its description is not JSON") from error
    if isinstance(tree, dict) and isinstance(tree.get("asset"), dict):
        _require_version(tree["asset"].get("version", 2))
    if not isinstance(tree, dict) or not isinstance(tree.get("meshes", []), list):
        raise InputError("its description is not that of a scene")
    unknown = [n for n in map(str, tree.get("extensionsRequired", [])) if not KNOWN.fullmatch(n)]
    if unknown:
        raise InputError(f"it requires {unknown[0][:60]}, which is not read; save it without")
    return tree


def _require_version(version: object) -> None:
    if str(version).partition(".")[0] != "2":
        raise InputError(f"its version of glTF is {str(version)[:20]!r}; only 2.0 is read")


def _buffer(source: Source, one: Mapping[str, Any], binary: bytes | None) -> bytes:
    uri = one.get("uri")
    if uri is None:
        data = binary if binary is not None else b""
    elif uri.startswith("data:"):
        data = from_data_uri(uri)
    else:
        found = read_uri(source.path, uri)
        if found is None:
            raise InputError(f"its buffer {uri[:80]!r} does not lie beside it")
        data = found
    if len(data) < one.get("byteLength", 0):
        raise InputError(
            f"a buffer has {len(data)} of its {one['byteLength']} bytes; the file is truncated"
        )
    return data


def _parts(source: Source, tree: Mapping[str, Any], accessors: Accessors) -> Iterator[PartPaint]:
    read: dict[int, list[PartPaint]] = {}  # by mesh; one may be placed many times
    total = 0
    for mesh, matrix in placed_meshes(tree):
        if mesh not in read:
            primitives = tree["meshes"][mesh].get("primitives", [])
            found = (_part(primitive, accessors, source.paint) for primitive in primitives)
            read[mesh] = [part for part in found if part is not None]
        for part in read[mesh]:
            total += PART_BYTES + 2 * (part.vertices.nbytes + part.faces.nbytes)
            source.require_room(total, "its scene")
            placed = part.vertices @ matrix[:3, :3].T + matrix[:3, 3]
            mirrored = np.linalg.det(matrix[:3, :3]) < 0  # which turns the faces' sides (3.7.4)
            faces = part.faces[:, ::-1] if mirrored else part.faces
            yield replace(part, vertices=placed, faces=faces)


def _part(primitive: Mapping[str, Any], accessors: Accessors, paint: bool) -> PartPaint | None:
    mode = primitive.get("mode", TRIANGLES)
    places = primitive.get("attributes", {}).get("POSITION")
    if places is None or mode not in (POINTS, TRIANGLES, STRIP, FAN):
        return None
    if DRACO in primitive.get("extensions", {}) and not accessors.is_stored(places):
        raise InputError(f"it is compressed by {DRACO}, which is not read; save it without")
    vertices = accessors.floats(places, 3)
    faces = _faces(primitive, mode, accessors, len(vertices))
    return part_paint(primitive, accessors, vertices, faces, paint)


def _faces(
    primitive: Mapping[str, Any], mode: int, accessors: Accessors, vertices: int
) -> NDArray[np.int64]:
    if mode == POINTS:
        return np.zeros((0, 3), np.int64)
    named = primitive.get("indices")
    order = np.arange(vertices) if named is None else accessors.integers(named)
    if len(order) and not (order.min() >= 0 and order.max() < vertices):
        raise InputError(f"a face names a vertex that is not among the {vertices}")
    if mode == TRIANGLES:
        if len(order) % 3:
            raise InputError("the corners of its triangles are no multiple of three")
        return order.reshape(-1, 3)
    corners = np.arange(max(len(order) - 2, 0))
    if mode == FAN:
        places = np.stack([np.zeros_like(corners), corners + 1, corners + 2], axis=1)
    else:
        odd = corners % 2  # every second triangle of a strip is turned round
        places = np.stack([corners, corners + 1 + odd, corners + 2 - odd], axis=1)
    return order[places]
