"""Clouds from .pcd files of the Point Cloud Library, parsed by pypcd4."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.resample import MAX_POINTS

HEADER_BYTES = 2**16
MAX_VALUES = 4096  # numbers a point; a feature of several hundred is the longest in use


def read_pcd(path: Path) -> NDArray[Any]:
    """Read x, y and z, (N, 3), without the points that the format marks as missing returns.

    Raises:
        InputError: a field is missing, or the header claims absurd sizes or more points than the
            file has. The parser raises other errors on damaged files.
    """
    from pypcd4.pypcd4 import PointCloud

    _require_sane_header(path)
    cloud = PointCloud.from_path(path)
    missing = [field for field in "xyz" if field not in cloud.fields]
    if missing:
        raise InputError(f"{path}: has no field {', '.join(missing)}; x, y and z are needed")
    if len(cloud.pc_data) != cloud.points:
        raise InputError(
            f"{path}: {len(cloud.pc_data)} points, but the header announces {cloud.points}; "
            "the file is truncated"
        )
    xyz = np.stack([np.asarray(cloud.pc_data[field]) for field in "xyz"], axis=-1)  # (N, 3)
    # PCL marks the pixels without a return in an organised cloud by NaN in all three coordinates.
    returned: NDArray[Any] = xyz[~np.isnan(xyz).all(axis=-1)]
    return returned


def _require_sane_header(path: Path) -> None:
    """Look at the sizes before the parser allocates what they say."""
    header: dict[bytes, list[bytes]] = {}
    with path.open("rb") as file:
        for line in file.read(HEADER_BYTES).split(b"\n"):
            key, *words = line.split() or [b"#"]
            header[key.upper()] = words
            if key.upper() == b"DATA":
                break
        else:
            raise InputError(f"{path}: no line DATA in its first {HEADER_BYTES} bytes")
    values = sum(int(count) for count in header.get(b"COUNT", []))
    points = int((header.get(b"POINTS") or [b"0"])[0])
    if values > MAX_VALUES or points > MAX_POINTS:
        raise InputError(
            f"{path}: its header announces {points} points of {values} values; "
            f"at most {MAX_POINTS} of {MAX_VALUES} are read"
        )
