"""MSE between features of both networks, brought to one scale (paper, Table 7, Eqs. 11 to 13)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.section import Weight


@dataclass(frozen=True)
class NormalizeFirst(Method):
    """Normalize-I: the teacher's features take the mean and deviation of the student's batch.

    Attributes:
        weight: of the loss.
    """

    weight: Weight = 1.0

    def loss(self, images: Images) -> Loss:
        """Return the loss "distillation"."""
        return FeatureDistance(self.weight, match_mean_and_deviation, images)


@dataclass(frozen=True)
class NormalizeSecond(Method):
    """Normalize-II: the teacher's features take the mean norm of the student's batch.

    Attributes:
        weight: of the loss.
    """

    weight: Weight = 1.0

    def loss(self, images: Images) -> Loss:
        """Return the loss "distillation"."""
        return FeatureDistance(self.weight, match_norm, images)


class FeatureDistance(Loss):
    """MSE between the student's features and the teacher's after `match(teacher, student)`."""

    def __init__(
        self, weight: float, match: Callable[[Tensor, Tensor], Tensor], images: Images
    ) -> None:
        super().__init__(images)
        self.weight, self.match = weight, match

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "distillation"."""
        target = self.match(batch.image_features, batch.features.detach())
        return {"distillation": self.weight * F.mse_loss(batch.features, target)}


def match_mean_and_deviation(teacher: Tensor, student: Tensor) -> Tensor:
    """Give teacher features (B, D) the mean and deviation of the student's (B, D), B >= 2."""
    scaled = (teacher - teacher.mean(dim=0)) / teacher.std(dim=0).clamp_min(1e-8)
    return scaled * student.std(dim=0) + student.mean(dim=0)


def match_norm(teacher: Tensor, student: Tensor) -> Tensor:
    """Give teacher features (B, D) the mean norm of the student's (B, D)."""
    norm, wanted = teacher.norm(dim=1).mean(), student.norm(dim=1).mean()
    return teacher * torch.div(wanted, norm.clamp_min(1e-8))
