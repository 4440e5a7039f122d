"""Edge convolution (DGCNN): a layer over the edges to a point's neighbours, then the maximum."""

from torch import Tensor, nn

from pointcmt.models.grouped import Groups, max_over_groups
from pointcmt.models.layers import MLPLayer, flat_index


class EdgeConv(nn.Module):
    """Linear map of (x_j - x_i, x_i), batch norm, activation, maximum over the neighbours j.

    The map is linear, so with its weight in two halves (W_edge, W_own) it is
    W_edge x_j + (W_own - W_edge) x_i: two maps of the points instead of one of all edges.

    Args:
        c_in: C, channels of a point.
        c_out: channels of the result.
        slope: see `MLPLayer`.
    """

    def __init__(self, c_in: int, c_out: int, *, slope: float) -> None:
        super().__init__()
        self.layer = MLPLayer(2 * c_in, c_out, slope=slope)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Map features (B, N, C) with neighbours (B, N, k) to (B, N, C_out)."""
        edge, own = self.layer.linear.weight.chunk(2, dim=1)  # (C_out, C) each
        groups = Groups(
            count=x.shape[0] * x.shape[1],
            k=index.shape[2],
            table=(x @ edge.t()).flatten(0, 1),
            index=flat_index(index, x.shape[1]),
            shared=(x @ (own - edge).t()).flatten(0, 1),
        )
        return max_over_groups(groups, [self.layer]).view(*x.shape[:2], -1)  # (B, N, C_out)
