"""A release of two numpy files, `train.npz` and `test.npz`."""

from pathlib import Path

import numpy as np

from pointcmt.data.dataset import CloudDataset
from pointcmt.data.record import DataSet, Reading, stored_arrays
from pointcmt.geometry import XYZ, normalize


class Pairs(CloudDataset):
    def __init__(self, root: Path, split: str, points: int | None) -> None:
        with np.load(root / f"{split}.npz", allow_pickle=False) as file:
            clouds, labels = file["points"][:, :points], file["labels"]
        ids = [f"{split}_{i}" for i in range(len(labels))]
        names = ("left", "right")
        super().__init__(
            f"pairs/{split}", names, normalize(clouds, "unit-sphere"), labels, ids, up="y"
        )


def _read(root: Path, split: str, reading: Reading) -> CloudDataset:
    return Pairs(root, split, reading.points)


RECORD = DataSet(
    name="pairs",
    about="two classes, for a test",
    files="train.npz, test.npz",
    read=_read,
    stored=lambda root, split, _reading: stored_arrays(Pairs(root, split, None)),
    recognise=lambda root: (root / "train.npz").is_file(),
    channels=XYZ,
    up="y",
    citation="a test",
    licence="MIT",
)
