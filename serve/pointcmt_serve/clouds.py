"""From whatever a caller holds to clouds a network can take, or one sentence that says why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import normalize, require_cloud, resample
from pointcmt_serve.artefact import Artefact


class Preparation(NamedTuple):
    """What a network wants of a cloud.

    Attributes:
        channels: the names of its C columns.
        normalization: a name in `pointcmt.geometry.NORMALIZATIONS`.
        points: how many it has.
    """

    channels: tuple[str, ...]
    normalization: str
    points: int

    @classmethod
    def of(cls, artefact: Artefact) -> Self:
        """Return what the network of an exported file wants."""
        return cls(artefact.own_channels, artefact.normalization, artefact.points)

    def __call__(self, cloud: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring a cloud (N, C) that `checked_cloud` accepted to (points, C)."""
        moved = normalize(cloud, self.normalization)  # (N, C)
        return np.ascontiguousarray(resample(moved, self.points), dtype=np.float32)


@dataclass(frozen=True)
class Prepared:
    """A cloud that is prepared already, which `prepare` takes as it is.

    Attributes:
        points: (points, C) float32.
        preparation: what was done to it.
        up: the vertical axis of the file it came from, if its format settles it.
    """

    points: NDArray[np.float32]
    preparation: Preparation
    up: str | None = None


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
    wanted = Preparation.of(artefact)
    if not isinstance(points, Prepared):
        return wanted(checked_cloud(points, name, wanted.channels))
    if points.preparation != wanted:
        raise InputError(f"{name}: was prepared for another network")
    return points.points


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
