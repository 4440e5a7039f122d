"""From whatever a caller holds to clouds a network can take, or one sentence that says why not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import normalize, require_cloud, resample
from pointcmt_serve.artefact import Artefact


def as_clouds(points: Any) -> Sequence[Any] | NDArray[Any]:
    """Return the clouds in `points`: one (N, C), a batch (B, N, C), or a sequence of (N_i, C).

    Raises:
        InputError: `points` is an array of another number of dimensions, has masked values, or is
            nothing of the kind.
    """
    if isinstance(points, list | tuple):
        return points
    array = _array(points, "the points")
    if array.ndim == 2:
        return array[None]
    if array.ndim == 3:
        return array
    raise InputError(
        f"the points have shape {array.shape}; give one cloud (N, C), a batch (B, N, C) or a list "
        "of clouds"
    )


def prepare(points: Any, artefact: Artefact, name: str) -> NDArray[np.float32]:
    """Bring one cloud (N, C) to what a network wants; see `Classifier.prepare`."""
    cloud = checked_cloud(points, name, artefact.own_channels)
    cloud = normalize(cloud, artefact.normalization)  # (N, C)
    cloud = resample(cloud, artefact.points)  # (points, C)
    return np.ascontiguousarray(cloud, dtype=np.float32)


def checked_cloud(points: Any, name: str, channels: Sequence[str]) -> NDArray[np.float32]:
    """Return `points` as an (N, C) cloud that `pointcmt.geometry.require_cloud` accepts.

    Columns beyond the C `channels`, which a file may have, are refused here: in memory they are
    more likely a transposed cloud than normals.

    Raises:
        InputError: the shape is not (N, C), a value is masked, or the cloud is not usable; the
            message names `name`.
    """
    cloud, width = _array(points, name), len(channels)
    if cloud.ndim != 2 or cloud.shape[1] != width:
        turned = cloud.ndim == 2 and cloud.shape[0] == width
        hint = "transpose it" if turned else f"a row is one point's {', '.join(channels)}"
        raise InputError(f"{name}: has shape {cloud.shape}, not (N, {width}); {hint}")
    return require_cloud(cloud, name, width)


def _array(points: Any, name: str) -> NDArray[Any]:
    if np.ma.is_masked(points):
        count = np.ma.getmaskarray(points).sum()
        raise InputError(
            f"{name}: has {count} masked values; leave those points out, as with "
            "numpy.ma.compress_rows"
        )
    try:
        return np.asarray(points)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged rows; a tensor on a GPU
        raise InputError(f"{name}: is no array ({error})") from error
