"""What part segmentation reads: the splits of a data set whose points carry part labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pointcmt.data.catalog import CATALOG, find
from pointcmt.errors import InputError
from pointcmt.models.segmenter import with_category
from pointcmt.parts import Parts, class_channels, part_counts, part_ranges
from pointcmt_training.config import Config
from pointcmt_training.inputs import Inputs, load_inputs
from pointcmt_training.inputs.split import Split


@dataclass(frozen=True)
class PartSplit:
    """One split, on the training device.

    Attributes:
        clouds: points and classes.
        parts: (n, N) int64, the part label of each point.
    """

    clouds: Split
    parts: Tensor

    def __len__(self) -> int:
        """Return the number of clouds."""
        return len(self.clouds)

    @property
    def labelled(self) -> Split:
        """The clouds with their part labels as one more channel, which augmentation keeps."""
        labels = self.parts.to(self.clouds.points.dtype).unsqueeze(2)
        return replace(self.clouds, points=torch.cat([self.clouds.points, labels], dim=2))

    def told(self, indices: Tensor) -> Tensor:
        """Return clouds (B, N, C + classes) with the channels that tell their class."""
        classes = len(self.clouds.dataset.classes)
        return with_category(self.clouds.points[indices], self.clouds.labels[indices], classes)


@dataclass(frozen=True)
class PartInputs:
    """The splits of a run.

    Attributes:
        parts: names of each class's parts.
        train: labelled clouds.
        validation: None where none is held out.
        test: the test split.
        whole: the same as a classifier's run reads them.
    """

    parts: Parts
    train: PartSplit
    validation: PartSplit | None
    test: PartSplit
    whole: Inputs

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names."""
        return self.whole.classes

    @property
    def ranges(self) -> list[range]:
        """The part labels of each class."""
        return part_ranges(part_counts(self.parts))

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that the segmenter takes, with those of the class."""
        return (*self.train.clouds.channels, *class_channels(self.classes))


def load_parts(config: Config, device: torch.device) -> PartInputs:
    """Read the data set with its parts.

    Raises:
        InputError: the data set is unknown, missing or damaged, has no parts, or has a point whose
            part is none of its class.
    """
    whole = load_inputs(config, device)
    parts = find(config.data.name).parts
    if not parts:
        known = ", ".join(name for name, data in CATALOG.items() if data.parts)
        raise InputError(f"data.name={config.data.name}: its points have no parts; use {known}")
    ranges, held = part_ranges(part_counts(parts)), whole.validation
    return PartInputs(
        parts,
        _with_parts(whole.train, ranges),
        _with_parts(held, ranges) if held else None,
        _with_parts(whole.test, ranges),
        whole,
    )


def _with_parts(split: Split, ranges: Sequence[range]) -> PartSplit:
    data = split.dataset
    if data.parts is None:
        raise InputError(f"{data.name}: its points have no parts")
    first, last = (np.array([own[end] for own in ranges])[data.labels] for end in (0, -1))
    foreign = ((data.parts < first[:, None]) | (data.parts > last[:, None])).any(axis=1)
    if foreign.any():
        cloud = int(np.flatnonzero(foreign)[0])
        name = data.classes[data.labels[cloud]]
        raise InputError(f"{data.name}: {data.ids[cloud]} has a part that is none of a {name}")
    return PartSplit(split, torch.from_numpy(data.parts).to(split.points.device))
