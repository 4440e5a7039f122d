"""What a run of part segmentation needs, checked before it begins."""

from typing import Any

import torch

from pointcmt.errors import InputError
from pointcmt.models import create_segmenter
from pointcmt.models.pointnet2_parts import PointNet2Parts
from pointcmt.parts import part_counts
from pointcmt_training.config import Config
from pointcmt_training.loop import require_batch
from pointcmt_training.parts.inputs import PartInputs, load_parts
from pointcmt_training.prepare import pick_device, require_axis
from pointcmt_training.stages.common import seeded
from pointcmt_training.stages.keeping import tell_slow_average
from pointcmt_training.trial import require_segmenting


def prepare_parts(config: Config) -> tuple[PartInputs, PointNet2Parts]:
    """Read the data and build the segmenter, with fresh weights.

    Raises:
        InputError: the device, data or options are unusable, a batch is larger than the data, or
            the segmenter cannot be run.
    """
    inputs = load_parts(config, pick_device(config.device))
    options = {**network_options(config, inputs), "parts": part_counts(inputs.parts)}
    classes = len(inputs.classes)

    def build() -> PointNet2Parts:
        made = seeded(config.seed, lambda: create_segmenter(config.student, classes, **options))
        assert isinstance(made, PointNet2Parts)  # noqa: S101 - what the table holds
        return made

    segmenter = build()
    points = inputs.train.parts.shape[1]
    if points < segmenter.min_points:
        raise InputError(
            f"data.points={points}: must be at least {segmenter.min_points}, what {config.student} "
            "needs with these options"
        )
    require_axis(config, inputs.whole)
    require_batch("training", config.training, len(inputs.train))
    tell_slow_average(config.training, len(inputs.train))
    few = torch.arange(2, device=inputs.train.parts.device)
    require_segmenting(build(), config.student, inputs.train.told(few))
    return inputs, segmenter


def network_options(config: Config, inputs: PartInputs) -> dict[str, Any]:
    """Return the segmenter's options: the recipe's, with the channels of the class counted."""
    return {**config.options, "channels": len(inputs.channels)}
