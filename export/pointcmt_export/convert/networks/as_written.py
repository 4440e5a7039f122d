"""The plain path: any student, computed as it is written."""

import copy
from typing import cast

from torch import Tensor, nn

from pointcmt.models import Network


class AsWritten(nn.Module):
    """A student as it is, in evaluation mode; its weights keep their names behind `student.`."""

    def __init__(self, student: Network) -> None:
        super().__init__()
        self.student = cast(nn.Module, copy.deepcopy(student))

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, N, C) to logits (B, classes)."""
        logits: Tensor = self.student(points)
        return logits
