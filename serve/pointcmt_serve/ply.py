"""Writing a cloud in the colours of its parts as PLY, which every viewer shows."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.files import write_beside

COLOURS = np.array(
    [
        (31, 119, 180),
        (255, 127, 14),
        (44, 160, 44),
        (214, 39, 40),
        (148, 103, 189),
        (140, 86, 75),
        (227, 119, 194),
        (127, 127, 127),
        (188, 189, 34),
        (23, 190, 207),
    ],
    dtype=np.uint8,
)
FIELDS = (
    ("x", "<f4", "float"),
    ("y", "<f4", "float"),
    ("z", "<f4", "float"),
    ("red", "u1", "uchar"),
    ("green", "u1", "uchar"),
    ("blue", "u1", "uchar"),
    ("part", "u1", "uchar"),
)


def write_parts(path: Path, points: NDArray[np.float32], parts: NDArray[np.int64]) -> None:
    """Write points (N, 3) with the colour and number of each point's part (N,), all or nothing.

    Raises:
        InputError: the place cannot be written.
    """
    rows = np.empty(len(points), dtype=[(name, kind) for name, kind, _ in FIELDS])
    colours = COLOURS[parts % len(COLOURS)]
    columns = [*points.T, *colours.T, parts]
    for (name, _, _), column in zip(FIELDS, columns, strict=True):
        rows[name] = column
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    head += [f"property {kind} {name}" for name, _, kind in FIELDS]
    with write_beside(path) as fresh:
        fresh.write_bytes("\n".join([*head, "end_header", ""]).encode() + rows.tobytes())
