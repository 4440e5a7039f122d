"""The cross-modal point generator, CMPG (Section 3.3): a feature vector to a point cloud."""

from torch import Tensor, nn

INITIAL_SPREAD = 0.4  # on each axis; an untrained cloud fills the middle of the unit sphere


class PointGenerator(nn.Module):
    """Decode a global feature F (B, D) of either modality as a cloud (B, N, 3).

    The paper says "three-layer MLP"; the authors' released code has Dropout and one linear layer
    without bias. `layers` chooses; three is the default. The hidden layers are D wide with ReLU
    and no normalisation, so that one feature's cloud never depends on the others in its batch.

    The last layer starts so that a feature of mean square 1 gives a cloud around the origin with
    a standard deviation of 0.4 on each axis: no cloud starts collapsed, and none far outside the
    unit sphere in which the real ones lie.

    Args:
        feature_dim: D, the length of F.
        points: N, the number of points of the decoded cloud.
        layers: 3 (the paper) or 1 (the released code); any number from 1 works.
        dropout: probability with which an entry of F is dropped in training; None is 0.5 for the
            released single layer and 0 otherwise.

    Raises:
        ValueError: `layers` or `points` is below 1.
    """

    def __init__(
        self,
        feature_dim: int = 512,
        points: int = 1024,
        layers: int = 3,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        if layers < 1 or points < 1:
            raise ValueError(f"layers and points must be at least 1, got {layers} and {points}")
        self.feature_dim = feature_dim
        self.points = points
        self.layers = layers
        if dropout is None:
            dropout = 0.5 if layers == 1 else 0.0
        hidden: list[nn.Module] = []
        for _ in range(layers - 1):
            hidden += [nn.Linear(feature_dim, feature_dim), nn.ReLU()]
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Sequential(*hidden)
        self.output = nn.Linear(feature_dim, 3 * points, bias=layers > 1)
        self._initialise()

    def forward(self, features: Tensor) -> Tensor:
        """Decode features (B, D) as clouds (B, N, 3)."""
        x: Tensor = self.output(self.hidden(self.dropout(features)))  # (B, 3N)
        return x.view(-1, self.points, 3)  # (B, N, 3)

    def _initialise(self) -> None:
        for layer in self.hidden:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        # He initialisation keeps the mean square of a layer's (rectified) input, taken as 1.
        nn.init.normal_(self.output.weight, std=INITIAL_SPREAD / self.feature_dim**0.5)
        if self.output.bias is not None:
            nn.init.zeros_(self.output.bias)
