"""The clouds on which an artefact is compared with its checkpoint."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.checkpoint import ModelConfig
from pointcmt.data import CloudDataset, ModelNet40, Shapes
from pointcmt.errors import InputError
from pointcmt.geometry import normalize

STORED_POINTS = 2048  # the largest number of points a check uses
SHAPES_PER_CLASS = 4  # of the clouds for parity where no data set is named


@dataclass(frozen=True)
class Clouds:
    """Prepared clouds.

    Attributes:
        parity: for comparing logits; any data set, with `STORED_POINTS` points a cloud.
        labelled: for accuracy: a data set with the student's classes, or None.
        points: of a cloud for accuracy, as the student was trained.
        channels: of a point that the student wants.
        normalization: the student's rule.
    """

    parity: CloudDataset
    labelled: CloudDataset | None
    points: int
    channels: int
    normalization: str

    def batch(self, size: int, points: int) -> NDArray[np.float32]:
        """Return `size` clouds, spread evenly over the data set, as (size, points, channels)."""
        return self._prepare(self.parity, _spread(len(self.parity), size), points)

    def labelled_batches(
        self, size: int
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield the labelled data set in batches of clouds and labels."""
        data = self.labelled
        if data is None:
            return
        for start in range(0, len(data), size):
            chosen = np.arange(start, min(start + size, len(data)))
            yield self._prepare(data, chosen, self.points), data.labels[chosen]

    def _prepare(
        self, data: CloudDataset, chosen: NDArray[np.int64], points: int
    ) -> NDArray[np.float32]:
        clouds = np.asarray(data.points[chosen][:, :points], dtype=np.float32)
        repeats = -(-points // clouds.shape[1])
        clouds = np.concatenate([clouds] * repeats, axis=1)[:, :points]  # (size, points, C)
        if self.normalization != data.normalization:
            clouds = normalize(clouds, self.normalization)
        missing = self.channels - clouds.shape[2]
        if missing > 0:  # logits can be compared on any numbers
            made = np.random.default_rng(0).uniform(-1, 1, (*clouds.shape[:2], missing))
            clouds = np.concatenate([clouds, made.astype(np.float32)], axis=2)
        return np.ascontiguousarray(clouds[..., : self.channels])


def open_data(
    name: str | None, config: ModelConfig, channels: int, limit: int | None = None
) -> Clouds:
    """Open the data set that `--data` names.

    Args:
        name: "shapes", "shapes:PER_CLASS", "modelnet40:FOLDER", or None for embedded shapes without
            labels.
        config: of the student.
        channels: of a point.
        limit: use at most this many clouds for accuracy, spread evenly over the data set.

    Raises:
        InputError: no such data set, or it has other classes or fewer channels than the student.
    """
    parity, labelled = _named(name, config.points)
    if labelled is not None:
        _require_fit(name or "", labelled, config, channels)
        if limit is not None and limit < len(labelled):
            labelled = labelled.subset(_spread(len(labelled), limit))
    return Clouds(parity, labelled, config.points, channels, config.normalization)


def _named(name: str | None, points: int) -> tuple[CloudDataset, CloudDataset | None]:
    kind, _, rest = (name or "").partition(":")
    if kind == "modelnet40" and rest:
        data = _modelnet40(Path(rest), points)
        return data, data
    parity = Shapes(split="test", per_class=SHAPES_PER_CLASS, points=STORED_POINTS)
    if name is None:
        return parity, None
    if kind == "shapes" and (rest.isdecimal() or not rest):
        per_class = int(rest) if rest else None
        return parity, Shapes(split="test", per_class=per_class, points=points)
    raise InputError(f"--data {name}: unknown; use shapes, shapes:PER_CLASS or modelnet40:FOLDER")


def _modelnet40(folder: Path, points: int) -> CloudDataset:
    """All stored points, so that large clouds are compared on distinct ones, else what suffices."""
    try:
        return ModelNet40(folder, split="test", points=STORED_POINTS)
    except InputError:
        return ModelNet40(folder, split="test", points=points)


def _require_fit(name: str, data: CloudDataset, config: ModelConfig, channels: int) -> None:
    if data.classes != config.classes:
        raise InputError(
            f"--data {name}: has the classes of {data.name}, but the student was trained for "
            f"{', '.join(config.classes[:4])}, ...; name the data set it was trained on"
        )
    if data.points.shape[2] < channels:
        raise InputError(
            f"--data {name}: has {data.points.shape[2]} channels a point, but the student reads "
            f"{channels}; leave --data out to compare logits alone"
        )


def _spread(count: int, wanted: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, wanted).round().astype(np.int64)
