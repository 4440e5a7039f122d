"""The clouds on which an artefact is compared with its checkpoint."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data import CloudDataset, DataSet, Shapes, open_dataset, parse_reference
from pointcmt.data.tree import ALL, split_names
from pointcmt.description import ModelConfig
from pointcmt.errors import InputError
from pointcmt.geometry import AXES, normalize, turn

SHAPES_POINTS, SHAPES_PER_CLASS = 2048, 4  # of the clouds for parity where no data set is named
JITTER = 0.01  # of repeated points, so that they are distinct; clouds have a radius of 1


@dataclass(frozen=True)
class Clouds:
    """Prepared clouds.

    Attributes:
        parity: for comparing logits; any data set.
        labelled: for accuracy: a data set with the student's classes, or None.
        config: of the student: its points, channels and rule of normalisation.
    """

    parity: CloudDataset
    labelled: CloudDataset | None
    config: ModelConfig

    def batch(self, size: int, points: int) -> NDArray[np.float32]:
        """Return `size` clouds, spread evenly over the data set, as (size, points, C).

        Where a cloud has fewer points, they are repeated a little beside their place.
        """
        clouds = self._prepare(self.parity, _spread(len(self.parity), size), points)
        random, shape = np.random.default_rng(0), clouds.shape
        while clouds.shape[1] < points:
            beside = random.normal(0, JITTER, shape).astype(np.float32)
            clouds = np.concatenate([clouds, clouds[:, : shape[1]] + beside], axis=1)
        return np.ascontiguousarray(clouds[:, :points])

    def labelled_batches(
        self, size: int
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield the labelled data set in batches of clouds and labels."""
        data = self.labelled
        if data is None:
            return
        for start in range(0, len(data), size):
            chosen = np.arange(start, min(start + size, len(data)))
            yield self._prepare(data, chosen, self.config.points), data.labels[chosen]

    def _prepare(
        self, data: CloudDataset, chosen: NDArray[np.int64], points: int
    ) -> NDArray[np.float32]:
        """Return at most `points` points of the chosen clouds with the student's channels."""
        up = self.config.up
        clouds = np.asarray(data.points[chosen][:, :points], dtype=np.float32)
        if self.config.normalization != data.normalization:
            clouds = normalize(clouds, self.config.normalization)
        if up in AXES and data.up in AXES:
            clouds = turn(clouds, data.up, up, data.channels)
        clouds = with_channels(clouds, data.channels, self.config.own_channels)
        return self._told(clouds, data, chosen) if self.config.parts else clouds

    def _told(
        self, clouds: NDArray[np.float32], data: CloudDataset, chosen: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return clouds with the channels of their class; of another data set's, one in turn."""
        known = data.classes == self.config.classes
        labels = data.labels[chosen] if known else chosen
        told = np.eye(len(self.config.classes), dtype=np.float32)[labels % len(self.config.classes)]
        repeated = np.repeat(told[:, None], clouds.shape[1], axis=1)  # (B, N, classes)
        return np.concatenate([clouds, repeated], axis=2)


def with_channels(
    clouds: NDArray[np.float32], given: Sequence[str], wanted: Sequence[str]
) -> NDArray[np.float32]:
    """Return clouds (B, N, C) with the wanted channels, made-up numbers for those not given.

    Logits can be compared, and engines timed, on any numbers.
    """
    random = np.random.default_rng(0)
    columns = [
        clouds[..., list(given).index(name)]
        if name in given
        else random.uniform(-1, 1, clouds.shape[:2]).astype(np.float32)
        for name in wanted
    ]
    return np.stack(columns, axis=2)


def open_data(name: str | None, config: ModelConfig, limit: int | None = None) -> Clouds:
    """Open the data set that `--data` names.

    Args:
        name: a name of `pointcmt.data.CATALOG` with its folder, "NAME:FOLDER"; "shapes" or
            "shapes:PER_CLASS"; or None for embedded shapes without labels.
        config: of the student.
        limit: use at most this many clouds for accuracy, spread evenly over the data set.

    Raises:
        InputError: no such data set, or it has other classes or lacks a channel of the student.
    """
    if name is None:
        shapes = Shapes(split="test", per_class=SHAPES_PER_CLASS, points=SHAPES_POINTS)
        return Clouds(shapes, None, config)
    data, root, _ = parse_reference(name)
    found = _open(f"--data {name}", name, _test_split(data, root), config)
    if limit is not None and limit < len(found):
        found = found.subset(_spread(len(found), limit))
    return Clouds(found, found, config)


def open_calibration(name: str, config: ModelConfig) -> Clouds:
    """Open the training split of a data set, whose clouds show what a student's layers give.

    Raises:
        InputError: see `open_data`.
    """
    data, _, _ = parse_reference(name)
    return Clouds(_open(f"--calibration {name}", name, data.train, config), None, config)


def _open(told: str, name: str, split: str, config: ModelConfig) -> CloudDataset:
    data, root, per_class = parse_reference(name)
    found = open_dataset(
        data.name,
        root,
        split,
        config.points,
        per_class=per_class,
        channels=config.own_channels,
        up=config.up if config.up in AXES else None,
    )
    _require_fit(told, found, config)
    if config.parts and dict(data.parts) != dict(config.parts):
        raise InputError(f"{told}: {data.name} has other parts than the student tells")
    return found


def _test_split(data: DataSet, root: Path) -> str:
    """Return the split to test on; a folder of one's own may have none and is taken whole."""
    whole = ALL in data.splits and "test" not in split_names(root)
    return ALL if whole else "test"


def _require_fit(told: str, data: CloudDataset, config: ModelConfig) -> None:
    if data.classes != config.classes:
        raise InputError(
            f"{told}: has the classes of {data.name}, but the student was trained for "
            f"{', '.join(config.classes[:4])}, ...; name the data set it was trained on"
        )
    lacking = [channel for channel in config.own_channels if channel not in data.channels]
    if lacking:
        raise InputError(
            f"{told}: has {', '.join(data.channels)} of a point, but the student also reads "
            f"{', '.join(lacking)}; leave --data out to compare logits alone"
        )


def _spread(count: int, wanted: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, wanted).round().astype(np.int64)
