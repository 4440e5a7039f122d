"""PointCMT: feature and classifier enhancement (Section 3.4)."""

from dataclasses import dataclass

from torch import Tensor

from pointcmt.losses import Reduction, classifier_enhancement, feature_enhancement
from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.section import Weight


@dataclass(frozen=True)
class PointCMT(Method):
    """Feature and classifier enhancement; a weight of 0 leaves one out (paper, Table 4).

    Attributes:
        feature: alpha of feature enhancement (Eq. 5).
        classifier: beta of classifier enhancement (Eq. 7).
        reduction: of classifier enhancement; the released code sums over the batch.
    """

    feature: Weight = 30.0
    classifier: Weight = 0.3
    reduction: Reduction = "sum"

    def loss(self, images: Images) -> Loss:
        """Return the losses "feature" and "classifier"."""
        return Enhancement(self, images)


class Enhancement(Loss):
    """The two enhancements."""

    def __init__(self, options: PointCMT, images: Images) -> None:
        super().__init__(images)
        self.options = options

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "feature" and "classifier", each where its weight is above 0."""
        parts: dict[str, Tensor] = {}
        if self.options.feature:
            parts["feature"] = self.options.feature * feature_enhancement(
                self.images.generator, batch.features, batch.image_features
            )
        if self.options.classifier:
            parts["classifier"] = self.options.classifier * classifier_enhancement(
                batch.classifier, batch.logits, batch.image_features, self.options.reduction
            )
        return parts
