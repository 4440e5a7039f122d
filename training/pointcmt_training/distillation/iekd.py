"""Inheritance and exploration (IE-KD, Huang et al.; paper, Table 5)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.section import Weight


@dataclass(frozen=True)
class InheritanceExploration(Method):
    """One half of the feature follows the teacher, the other departs from it.

    Attributes:
        weight: of inheritance and exploration.
    """

    weight: Weight = 1.0

    def loss(self, images: Images) -> Loss:
        """Return the losses "reconstruction", "inheritance" and "exploration"."""
        return Factors(self.weight, images)


class Factors(Loss):
    """The teacher's factor is the code of an autoencoder of its features.

    The authors train that autoencoder beforehand; here it learns beside the student, whose losses
    do not reach it.
    """

    def __init__(self, weight: float, images: Images) -> None:
        super().__init__(images)
        self.weight = weight
        dim = images.features.shape[1]
        self.inherited = dim // 2
        self.encoder, self.decoder = nn.Linear(dim, self.inherited), nn.Linear(self.inherited, dim)
        self.inherit = nn.Linear(self.inherited, self.inherited)
        self.explore = nn.Linear(dim - self.inherited, self.inherited)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "reconstruction", "inheritance" and "exploration" (at most 0)."""
        code = self.encoder(batch.image_features)  # (B, D / 2)
        factor = code.detach()
        inherited = self.inherit(batch.features[:, : self.inherited])
        explored = self.explore(batch.features[:, self.inherited :])
        return {
            "reconstruction": F.mse_loss(self.decoder(code), batch.image_features),
            "inheritance": self.weight * factor_distance(inherited, factor),
            "exploration": -self.weight * factor_distance(explored, factor),
        }


def factor_distance(one: Tensor, other: Tensor) -> Tensor:
    """L1 distance of factors (B, D) that are scaled to unit length."""
    return (F.normalize(one, dim=1) - F.normalize(other, dim=1)).abs().sum(dim=1).mean()
