"""The points that decided about one cloud."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.files import write_beside


@dataclass(frozen=True, eq=False)
class CriticalPoints:
    """The points that won a network's last maximum over the cloud, the greatest share first.

    Attributes:
        indices: (M,) int64, which points of the given cloud they are.
        share: (M,) float64 in (0, 1], the share of each in the maximum's channels; sums to 1.
        points: (M, C) float32, the points as the network saw them: normalised, and turned to the
            model's vertical axis.
        cloud: (P, C) float32, all that the network saw.
    """

    indices: NDArray[np.int64]
    share: NDArray[np.float64]
    points: NDArray[np.float32]
    cloud: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indices)

    def save(self, path: Path) -> None:
        """Write the four arrays under their names to an .npz file.

        Raises:
            InputError: the file cannot be written.
        """
        with write_beside(path) as fresh, fresh.open("wb") as file:
            np.savez_compressed(
                file, indices=self.indices, share=self.share, points=self.points, cloud=self.cloud
            )


def critical_points(
    share: NDArray[np.float64], cloud: NDArray[np.float32], origin: NDArray[np.int64]
) -> CriticalPoints:
    """Choose the points with a share.

    Args:
        share: (P,) of each point that the network saw.
        cloud: (P, C) those points.
        origin: (P,) which point of the given cloud each is; a point that was repeated to fill the
            cloud comes several times, and its shares add up.
    """
    total = np.bincount(origin, weights=share)
    first = np.full(len(total), len(origin))
    np.minimum.at(first, origin, np.arange(len(origin)))
    order = np.argsort(-total, kind="stable")
    indices = order[: int((total > 0).sum())]
    won = np.asarray(total[indices], np.float64)
    return CriticalPoints(np.asarray(indices, np.int64), won, cloud[first[indices]], cloud)
