"""The looks of a glTF scene: colours of vertices, materials and their pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.geometry.formats.accessors import Accessors
from pointcmt.geometry.formats.materials import from_data_uri, read_uri
from pointcmt.geometry.formats.source import Material, Paint, Source


@dataclass(frozen=True)
class PartPaint:
    """One part of a scene, placed.

    Attributes:
        vertices: (V, 3).
        faces: (F, 3).
        colors: (V, 3) in [0, 1], or None.
        places: (V, 2) in the material's picture, from its lower left corner, or None.
        material: the number of its material, or -1.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    colors: NDArray[np.float64] | None
    places: NDArray[np.float64] | None
    material: int


def part_paint(
    primitive: Mapping[str, Any],
    accessors: Accessors,
    vertices: NDArray[np.float64],
    faces: NDArray[np.int64],
    paint: bool,
) -> PartPaint:
    """Return a part with the colours of its vertices and, if `paint`, its places in the picture."""
    attributes = primitive.get("attributes", {})
    colors = places = None
    if "COLOR_0" in attributes:
        found = accessors.floats(attributes["COLOR_0"])
        colors = found[:, :3] if found.shape == (len(vertices), found.shape[1]) else None
    if paint and "TEXCOORD_0" in attributes:
        found = accessors.floats(attributes["TEXCOORD_0"], 2)
        places = found * [1, -1] + [0, 1] if len(found) == len(vertices) else None
    return PartPaint(vertices, faces, colors, places, primitive.get("material", -1))


def joined_paint(
    source: Source, tree: Mapping[str, Any], buffers: Sequence[bytes], parts: Sequence[PartPaint]
) -> Paint:
    """Return the looks of all faces; a material that cannot be read is plain."""
    images = [_picture(source, tree, buffers, one) for one in tree.get("images", [])]
    materials = [_material(tree, images, one) for one in tree.get("materials", [])]
    missing = [
        str(i.get("uri", "a picture"))[:80]
        for i, found in zip(tree.get("images", []), images, strict=True)
        if found is None
    ]
    material = np.repeat([p.material for p in parts], [len(p.faces) for p in parts])
    material[material >= len(materials)] = -1
    coordinates = [
        np.full((*part.faces.shape, 2), np.nan) if part.places is None else part.places[part.faces]
        for part in parts
    ]
    places = np.concatenate(coordinates)
    return Paint(materials, material.astype(np.int64), places, missing=missing)


def _material(
    tree: Mapping[str, Any], images: Sequence[bytes | None], own: Mapping[str, Any]
) -> Material:
    look = own.get("pbrMetallicRoughness", {})
    red, green, blue, alpha = look.get("baseColorFactor", (1.0, 1.0, 1.0, 1.0))
    opacity = alpha if own.get("alphaMode") == "BLEND" else 1.0
    picture = None
    if "baseColorTexture" in look:
        texture = tree["textures"][look["baseColorTexture"]["index"]]
        picture = images[texture["source"]] if "source" in texture else None
    return Material(str(own.get("name", "")), (red, green, blue), opacity, picture)


def _picture(
    source: Source, tree: Mapping[str, Any], buffers: Sequence[bytes], image: Mapping[str, Any]
) -> bytes | None:
    uri = image.get("uri")
    try:
        if uri is None:
            view = tree["bufferViews"][image["bufferView"]]
            start = view.get("byteOffset", 0)
            return bytes(buffers[view["buffer"]][start : start + view["byteLength"]])
        if uri.startswith("data:"):
            return from_data_uri(uri)
        return read_uri(source.path, uri)
    except (LookupError, TypeError, ValueError):
        return None
