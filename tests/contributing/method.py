"""Features of points near those of images."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import mse_loss

from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.section import Weight


@dataclass(frozen=True)
class Nearer(Method):
    """The student's features must lie near the teacher's.

    Attributes:
        nearness: weight of the distance.
    """

    nearness: Weight = 1.0

    def loss(self, images: Images) -> Loss:
        return Distance(self, images)


class Distance(Loss):
    def __init__(self, options: Nearer, images: Images) -> None:
        super().__init__(images)
        self.options = options

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {"nearness": self.options.nearness * mse_loss(batch.features, batch.image_features)}
