"""Inheritance and exploration (IE-KD, Huang et al., CVPR 2021; paper, Table 5)."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.section import Weight

BATCH, LR = 128, 1e-3  # of the autoencoder's training


@dataclass(frozen=True)
class InheritanceExploration(Method):
    """One half of the feature follows the teacher, the other departs from it.

    The teacher's factor is the code of an autoencoder of its features, trained before the student.

    Attributes:
        weight: of inheritance and exploration; the authors found 50 best.
        autoencoder_epochs: passes of the autoencoder over the teacher's features.
    """

    weight: Weight = 50.0
    autoencoder_epochs: Annotated[int, Field(ge=1, le=10_000)] = 30

    def loss(self, images: Images) -> Loss:
        """Return the losses "inheritance" and "exploration"."""
        return Factors(self, images)


class Factors(Loss):
    """Distances of both halves, each behind a linear map, to the teacher's factor."""

    def __init__(self, options: InheritanceExploration, images: Images) -> None:
        super().__init__(images)
        self.weight = options.weight
        dim = images.features.shape[1]
        self.inherited = dim // 2
        self.encoder = trained_encoder(images.features, self.inherited, options.autoencoder_epochs)
        self.inherit = nn.Linear(self.inherited, self.inherited)
        self.explore = nn.Linear(dim - self.inherited, self.inherited)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "inheritance" and "exploration" (at most 0)."""
        factor = self.encoder(batch.image_features)  # (B, D / 2)
        inherited = self.inherit(batch.features[:, : self.inherited])
        explored = self.explore(batch.features[:, self.inherited :])
        return {
            "inheritance": self.weight * factor_distance(inherited, factor),
            "exploration": -self.weight * factor_distance(explored, factor),
        }


def trained_encoder(features: Tensor, size: int, epochs: int) -> nn.Linear:
    """Train an autoencoder of features by its squared error; return its encoder, frozen.

    Args:
        features: (n, D), constant.
        size: of the code.
        epochs: passes over the features, in an order that follows from them alone.
    """
    dim = features.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder, decoder = nn.Linear(dim, size).to(features), nn.Linear(size, dim).to(features)
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], LR)
        for _ in range(epochs):
            for indices in torch.split(torch.randperm(len(features)), BATCH):
                chosen = features[indices.to(features.device)]
                optimizer.zero_grad()
                loss = F.mse_loss(decoder(encoder(chosen)), chosen)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
    return encoder.requires_grad_(False)


def factor_distance(one: Tensor, other: Tensor) -> Tensor:
    """Mean absolute difference of factors (B, D) that are scaled to unit length."""
    return F.l1_loss(F.normalize(one, dim=1), F.normalize(other, dim=1))
