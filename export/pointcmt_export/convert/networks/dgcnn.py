"""DGCNN for deployment."""

from typing import cast

import torch
from torch import Tensor, nn

from pointcmt.models.dgcnn import DGCNN
from pointcmt.models.edge_conv import EdgeConv
from pointcmt.models.layers import activate
from pointcmt.ops import knn
from pointcmt_export.convert.networks.fold import Affine, Dense, dense, fold, parameter
from pointcmt_export.convert.networks.gather import gather_rows
from pointcmt_export.convert.networks.head import DeployedHead


class DeployedEdgeConv(nn.Module):
    """Edge convolution: both shares of the map once a point, and the maximum of the gathered one.

    W (x_j - x_i, x_i) + b = W_edge x_j + (W_own - W_edge) x_i + b; the second part is the same for
    all neighbours j, so it is added after the maximum.
    """

    def __init__(self, conv: EdgeConv) -> None:
        super().__init__()
        affine = fold(conv.layer.linear, conv.layer.norm)
        edge, own = affine.weight.chunk(2, dim=1)  # (C_out, C) each
        self.edge = parameter(edge.t())
        self.own = Dense(Affine(own - edge, affine.bias), slope=1.0)
        self.slope = conv.layer.slope

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Map features (B, N, C) with neighbours (B, N, k) to (B, N, C_out)."""
        rows = x.flatten(0, 1).to(self.edge.dtype)  # (B * N, C)
        share = (rows @ self.edge).view(*x.shape[:2], -1)  # (B, N, C_out)
        best = gather_rows(share, index).view(rows.shape[0], index.shape[2], -1).amax(dim=1)
        return activate(best + self.own(rows), self.slope).view(*x.shape[:2], -1)


class DeployedDGCNN(nn.Module):
    """DGCNN; neighbours are searched in float32 whatever the precision of the rest."""

    def __init__(self, student: DGCNN) -> None:
        super().__init__()
        self.k = student.k
        self.edge_convs = nn.ModuleList(
            DeployedEdgeConv(cast(EdgeConv, conv)) for conv in student.edge_convs
        )
        self.embedding = dense(student.embedding)
        self.head = DeployedHead(student)

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, N, C) to logits (B, classes)."""
        x, space, levels = points, points[..., :3], []
        for conv in self.edge_convs:
            x = conv(x, knn(space, space, self.k))  # (B, N, C_l)
            space = x.float()
            levels.append(x)
        rows = torch.cat(levels, dim=2).flatten(0, 1)  # (B * N, C')
        x = self.embedding(rows).view(*points.shape[:2], -1)  # (B, N, 1024)
        logits: Tensor = self.head(torch.cat((x.amax(dim=1), x.mean(dim=1)), dim=1))
        return logits
