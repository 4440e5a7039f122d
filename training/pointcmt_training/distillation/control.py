"""No method: the control by the same recipe, without images."""

from dataclasses import dataclass
from typing import ClassVar

from pointcmt_training.distillation.method import Method


@dataclass(frozen=True)
class Control(Method):
    """Cross-entropy alone; stages I and II are left out."""

    uses_images: ClassVar[bool] = False
