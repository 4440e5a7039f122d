"""Softmax regression representation learning (Yang et al., ICLR 2021; paper, Table 5)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.section import Weight


@dataclass(frozen=True)
class SoftmaxRegression(Method):
    """The student's feature, through the teacher's classifier, must give the teacher's logits.

    Attributes:
        weight: of the loss.
    """

    weight: Weight = 1.0

    def loss(self, images: Images) -> Loss:
        """Return the loss "distillation"."""
        return TeacherRegression(self.weight, images)


class TeacherRegression(Loss):
    """Both terms of SRRL (Eqs. 2 and 6), mean squared errors, behind a linear connector."""

    def __init__(self, weight: float, images: Images) -> None:
        super().__init__(images)
        self.weight = weight
        dim = images.features.shape[1]
        self.connector = nn.Linear(dim, dim)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "distillation"."""
        classify = self.images.classifier
        mapped = self.connector(batch.features)  # (B, D)
        logits = F.mse_loss(classify(mapped), classify(batch.image_features))
        features = F.mse_loss(mapped, batch.image_features)
        return {"distillation": self.weight * (features + logits)}
