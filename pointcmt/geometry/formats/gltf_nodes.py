"""The nodes of a glTF scene: which meshes stand where."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

Matrix = NDArray[np.float64]


def placed_meshes(tree: Mapping[str, Any]) -> Iterator[tuple[int, Matrix]]:
    """Yield the number of each mesh of the default scene with its transform (4, 4).

    Without nodes all meshes stand as they are.

    Raises:
        InputError: a node occurs twice, or a transform is not one.
    """
    nodes, meshes = tree.get("nodes", []), tree.get("meshes", [])
    scenes = tree.get("scenes", [])
    if not nodes:
        yield from ((mesh, np.eye(4)) for mesh in range(len(meshes)))
        return
    children = {child for node in nodes for child in node.get("children", [])}
    free = [i for i in range(len(nodes)) if i not in children]
    roots = scenes[tree.get("scene", 0)].get("nodes", []) if scenes else free
    waiting = [(root, np.eye(4)) for root in reversed(roots)]
    seen: set[int] = set()
    while waiting:
        place, above = waiting.pop()
        if place in seen or not 0 <= place < len(nodes):
            raise InputError("its nodes are no tree")
        seen.add(place)
        matrix = above @ _transform(nodes[place])
        if "mesh" in nodes[place]:
            yield nodes[place]["mesh"], matrix
        waiting += [(child, matrix) for child in reversed(nodes[place].get("children", []))]


def _transform(node: Mapping[str, Any]) -> Matrix:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T  # stored column by column
    matrix = np.eye(4)
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    turned = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix[:3, :3] = turned * np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix
