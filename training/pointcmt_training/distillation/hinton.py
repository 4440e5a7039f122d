"""Distillation between the logits of both networks (Hinton et al.; paper, Table 5)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from pointcmt.losses import divergence
from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.section import Weight

Temperature = Annotated[float, Field(ge=0.01, le=1000)]


@dataclass(frozen=True)
class Hinton(Method):
    """Softened logits of the teacher (Eq. 6 at temperature 1).

    Attributes:
        weight: of the loss.
        temperature: both networks' logits are divided by it.
    """

    weight: Weight = 1.0
    temperature: Temperature = 4.0

    def loss(self, images: Images) -> Loss:
        """Return the loss "distillation"."""
        return SoftLogits(self, images)


class SoftLogits(Loss):
    """The divergence of softened logits."""

    def __init__(self, options: Hinton, images: Images) -> None:
        super().__init__(images)
        self.options = options

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "distillation"."""
        target = self.images.classifier(batch.image_features)  # (B, C)
        loss = soft_divergence(batch.logits, target, self.options.temperature)
        return {"distillation": self.options.weight * loss}


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL of softened logits times T squared, which keeps the size of the gradients.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits, constant.
        temperature: T > 0.
    """
    soft = divergence(teacher / temperature, student / temperature, "batchmean")
    return soft * temperature**2
