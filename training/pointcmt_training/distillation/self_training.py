"""Distillation from an earlier student: what unlabelled clouds give without any image."""

from dataclasses import dataclass
from typing import ClassVar

from pointcmt_training.distillation.hinton import Hinton, Temperature


@dataclass(frozen=True)
class SelfTraining(Hinton):
    """Softened logits of an earlier student, the control for every gain that images may claim.

    Attributes:
        run: folder of a finished run on the same data, usually the control of the same seed.
        temperature: both networks' logits are divided by it.
    """

    uses_images: ClassVar[bool] = False

    temperature: Temperature = 2.0
    run: str = ""
