"""Softmax regression representation learning (Yang et al., ICLR 2021; paper, Table 5)."""

import math
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
    """Both terms of SRRL, mean squared errors of features and of logits, behind a connector.

    The connector is the authors': a linear map without bias, batch norm and ReLU. Theirs acts on
    feature maps before they are pooled; a student here has the pooled feature alone.
    """

    def __init__(self, weight: float, images: Images) -> None:
        super().__init__(images)
        self.weight = weight
        dim = images.features.shape[1]
        linear = nn.Linear(dim, dim, bias=False)
        nn.init.normal_(linear.weight, std=math.sqrt(2 / dim))
        self.connector = nn.Sequential(linear, nn.BatchNorm1d(dim), nn.ReLU())

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "distillation"."""
        classify = self.images.classifier
        mapped = self.connector(batch.features)  # (B, D)
        logits = F.mse_loss(classify(mapped), classify(batch.image_features))
        features = F.mse_loss(mapped, batch.image_features)
        return {"distillation": self.weight * (features + logits)}
