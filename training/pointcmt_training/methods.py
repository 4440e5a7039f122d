"""How the student learns from the teacher: PointCMT and the methods it is compared with.

A method is a module that maps a `Batch` to weighted losses by name; whatever it must learn beside
the student (a connector, say) is its own parameter. `METHODS` maps the recipe's word to a builder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt import losses
from pointcmt_training.config import DistillationConfig


@dataclass(frozen=True)
class Images:
    """What stages I and II hand to stage III; frozen, in evaluation mode.

    Attributes:
        classifier: the teacher's, (B, D) -> (B, C).
        generator: the CMPG, (B, D) -> (B, N, 3).
        features: (n, D) teacher features of the training split.
    """

    classifier: nn.Module
    generator: nn.Module
    features: Tensor


@dataclass(frozen=True)
class Batch:
    """One step of stage III.

    Attributes:
        features: F_pts (B, D).
        logits: Cls_pts(F_pts) (B, C).
        image_features: F_img (B, D), constant.
        classifier: the student's own classifier.
    """

    features: Tensor
    logits: Tensor
    image_features: Tensor
    classifier: Callable[[Tensor], Tensor]


class Method(nn.Module):
    """Base of the methods: keeps the weights and the frozen networks, which are not its own."""

    def __init__(self, config: DistillationConfig, images: Images) -> None:
        super().__init__()
        self.config = config
        self.images = images

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted losses by name, scalars."""
        raise TypeError(f"{type(self).__name__} must define forward")


class PointCMT(Method):
    """Feature and classifier enhancement (Section 3.4); a weight of 0 leaves one out (Table 4)."""

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "feature" and "classifier"."""
        parts: dict[str, Tensor] = {}
        if self.config.feature:
            parts["feature"] = self.config.feature * losses.feature_enhancement(
                self.images.generator, batch.features, batch.image_features
            )
        if self.config.classifier:
            parts["classifier"] = self.config.classifier * losses.classifier_enhancement(
                batch.classifier, batch.logits, batch.image_features, self.config.reduction
            )
        return parts


class Hinton(Method):
    """Distillation between the logits of both networks (Table 5, Hinton et al.)."""

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "distillation"."""
        target = self.images.classifier(batch.image_features)
        loss = losses.hinton(batch.logits, target, self.config.temperature)
        return {"distillation": self.config.weight * loss}


class NormalizedFeatures(Method):
    """MSE between features after Normalize-I or Normalize-II (Table 7, Eqs. 11 to 13)."""

    def __init__(
        self,
        config: DistillationConfig,
        images: Images,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        super().__init__(config, images)
        self.loss = loss

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "distillation"."""
        loss = self.loss(batch.features, batch.image_features)
        return {"distillation": self.config.weight * loss}


class SoftmaxRegression(Method):
    """Softmax regression representation (Table 5, Yang et al.), with a linear connector."""

    def __init__(self, config: DistillationConfig, images: Images) -> None:
        super().__init__(config, images)
        dim = images.features.shape[1]
        self.connector = nn.Linear(dim, dim)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "distillation"."""
        mapped = self.connector(batch.features)
        loss = losses.softmax_regression(self.images.classifier, mapped, batch.image_features)
        return {"distillation": self.config.weight * loss}


class InheritanceExploration(Method):
    """One half of the feature follows the teacher, the other departs (Table 5, Huang et al.).

    The teacher's factor is the code of an autoencoder of its features. The authors train that
    autoencoder beforehand; here it learns beside the student, whose losses do not reach it.
    """

    def __init__(self, config: DistillationConfig, images: Images) -> None:
        super().__init__(config, images)
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
        weight = self.config.weight
        return {
            "reconstruction": F.mse_loss(self.decoder(code), batch.image_features),
            "inheritance": weight * losses.factor_distance(inherited, factor),
            "exploration": -weight * losses.factor_distance(explored, factor),
        }


METHODS: dict[str, Callable[[DistillationConfig, Images], Method]] = {
    "pointcmt": PointCMT,
    "hinton": Hinton,
    "normalize1": lambda c, i: NormalizedFeatures(c, i, losses.feature_mse_normalize1),
    "normalize2": lambda c, i: NormalizedFeatures(c, i, losses.feature_mse_normalize2),
    "srrl": SoftmaxRegression,
    "iekd": InheritanceExploration,
}
