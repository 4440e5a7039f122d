"""The head that every shipped student carries."""

from typing import cast

from torch import Tensor, nn

from pointcmt.models.layers import MLPLayer
from pointcmt.models.student import PointStudent
from pointcmt_export.convert.networks.fold import Dense, dense, fold


class DeployedHead(nn.Module):
    """Hidden layers and the linear classifier, (B, P) -> logits (B, classes) in float32."""

    def __init__(self, student: PointStudent) -> None:
        super().__init__()
        self.hidden = nn.Sequential(*(dense(cast(MLPLayer, layer)) for layer in student.hidden))
        self.classifier = Dense(fold(student.classifier), slope=1.0)

    def forward(self, pooled: Tensor) -> Tensor:
        """Map pooled descriptors (B, P) to logits (B, classes)."""
        logits: Tensor = self.classifier(self.hidden(pooled))
        return logits.float()
