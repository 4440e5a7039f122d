"""From whatever a caller holds to clouds a network can take, or one sentence that says why not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import require_cloud


def as_clouds(points: Any) -> Sequence[Any] | NDArray[Any]:
    """Return the clouds in `points`: one (N, 3), a batch (B, N, 3), or a sequence of (N_i, 3).

    Raises:
        InputError: `points` is an array of another number of dimensions, or nothing of the kind.
    """
    if isinstance(points, list | tuple):
        return points
    array = _array(points, "the points")
    if array.ndim == 2:
        return array[None]
    if array.ndim == 3:
        return array
    raise InputError(
        f"the points have shape {array.shape}; give (N, 3), (B, N, 3) or a list of (N, 3) arrays"
    )


def checked_cloud(points: Any, name: str) -> NDArray[np.float32]:
    """Return `points` as an (N, 3) cloud that `pointcmt.geometry.require_cloud` accepts.

    Columns after the third, which a file may have, are refused here: in memory they are more
    likely a transposed cloud than normals.

    Raises:
        InputError: the shape is not (N, 3), or the cloud is not usable; the message names `name`.
    """
    cloud = _array(points, name)
    if cloud.ndim != 2 or cloud.shape[1] != 3:
        turned = cloud.ndim == 2 and cloud.shape[0] == 3
        hint = "transpose it" if turned else "a row is one point's x, y, z"
        raise InputError(f"{name}: has shape {cloud.shape}, not (N, 3); {hint}")
    return require_cloud(cloud, name)


def _array(points: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(points)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged rows; a tensor on a GPU
        raise InputError(f"{name}: is no array ({error})") from error
