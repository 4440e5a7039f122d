"""PointCMT: feature and classifier enhancement (Section 3.4), and what was found to steady them."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from pointcmt.errors import InputError
from pointcmt.losses import Reduction, classifier_enhancement, feature_enhancement
from pointcmt_training.distillation.balance import at_share
from pointcmt_training.distillation.hinton import Temperature, soft_divergence
from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.section import Weight

LARGEST_SHARE = 10.0


@dataclass(frozen=True)
class PointCMT(Method):
    """Feature and classifier enhancement; a weight of 0 leaves a loss out (paper, Table 4).

    Attributes:
        balance: "weight" multiplies each enhancement by its number, as published; "share" scales
            it until its gradient at the encoder is that share of the cross-entropy's.
        feature: alpha of feature enhancement (Eq. 5), or its share, at most 10.
        classifier: beta of classifier enhancement (Eq. 7), or its share, at most 10.
        reduction: of classifier enhancement; the released code sums over the batch. A share does
            not depend on it.
        warmup: part of the epochs over which both enhancements grow from 0 to their full size.
        supervise: weight of the cross-entropy of Cls_pts(F_img) with the labels, which teaches the
            target of classifier enhancement; neither the paper nor the released code has it.
        logits: weight of the divergence from the teacher's softened logits, as in Hinton's method.
        temperature: of these logits.
    """

    balance: Literal["weight", "share"] = "weight"
    feature: Weight = 30.0
    classifier: Weight = 0.3
    reduction: Reduction = "sum"
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.0
    supervise: Weight = 0.0
    logits: Weight = 0.0
    temperature: Temperature = 2.0

    def __post_init__(self) -> None:
        """Check what concerns more than one key."""
        for key in ("feature", "classifier"):
            share = getattr(self, key)
            if self.balance == "share" and share > LARGEST_SHARE:
                raise InputError(
                    f"{key}={share}: must be at most {LARGEST_SHARE} with balance=share, where it "
                    "is a share of the cross-entropy's gradient"
                )

    def loss(self, images: Images) -> Loss:
        """Return the losses "feature", "classifier", "supervision" and "distillation"."""
        return Enhancement(self, images)


class Enhancement(Loss):
    """The two enhancements, and what stands beside them."""

    def __init__(self, options: PointCMT, images: Images) -> None:
        super().__init__(images)
        self.options = options

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return each loss whose weight is above 0."""
        options, parts = self.options, {}
        if options.feature:
            decoded = feature_enhancement(self.images.decoder, batch.features, batch.image_features)
            parts["feature"] = self._sized(decoded, options.feature, batch)
        if options.classifier:
            divergence = classifier_enhancement(
                batch.classifier,
                batch.classifier(batch.features),
                batch.image_features,
                options.reduction,
            )
            parts["classifier"] = self._sized(divergence, options.classifier, batch)
        if options.supervise:
            seen = batch.classifier(batch.image_features[: len(batch.labels)])  # (B, C)
            entropy = F.cross_entropy(seen, batch.labels, label_smoothing=batch.label_smoothing)
            parts["supervision"] = options.supervise * entropy
        if options.logits:
            target = self.images.classifier(batch.image_features)  # (B + U, C)
            soft = soft_divergence(batch.logits, target, options.temperature)
            parts["distillation"] = options.logits * soft
        return parts

    def _sized(self, loss: Tensor, size: float, batch: Batch) -> Tensor:
        warmup = self.options.warmup
        grown = min(1.0, batch.progress / warmup) if warmup else 1.0
        if self.options.balance == "share":
            loss = at_share(loss, batch.cross_entropy, batch.features, 1.0)
        return grown * size * loss
