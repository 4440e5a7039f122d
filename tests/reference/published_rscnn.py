"""RS-CNN with one scale as Yochengliu computes it."""

import torch
from torch import Tensor

from tests.reference.published import (
    Layout,
    State,
    farthest,
    linear,
    norm,
    pick,
    relu,
    squared_distances,
)

LEVELS = ((512, 0.23, 48, 128), (128, 0.32, 64, 512))  # centres, radius, neighbours, channels


def rscnn_state(*, classes: int, extra: int = 0) -> State:
    layout, c = Layout(), extra
    for level, (_, _, _, width) in enumerate(LEVELS):
        key = f"SA_modules.{level}.mlps.0.RSConvLayer0.RS_Conv"
        weighted = 16 if level == 0 else c + 3
        hidden = width // 2 if level == 0 else width // 4
        layout.norm(f"{key}.bn_rsconv", weighted, counter=False)
        layout.norm(f"{key}.bn_channel_raising", width, counter=False)
        layout.norm(f"{key}.bn_xyz_raising", 16, counter=False)
        layout.norm(f"{key}.bn_mapping", hidden, counter=False)
        layout.linear(f"{key}.mapping_func1", 10, hidden, dims=2, bias=True)
        layout.linear(f"{key}.mapping_func2", hidden, weighted, dims=2, bias=True)
        layout.linear(f"{key}.cr_mapping", weighted, width, dims=1, bias=True)
        if level == 0:
            layout.linear(f"{key}.xyz_raising", c + 3, 16, dims=2, bias=True)
        c = width
    layout.linear("SA_modules.2.mlps.0.conv_avg", c + 3, 1024, dims=2, bias=True)
    layout.norm("SA_modules.2.mlps.0.bn_avg", 1024, counter=False)
    for i, (a, b) in ((0, (1024, 512)), (2, (512, 256))):
        layout.linear(f"FC_layer.{i}.fc", a, b, bias=False)
        layout.norm(f"FC_layer.{i}.bn.bn", b, counter=False)
    layout.linear("FC_layer.4.fc", 256, classes, bias=True)
    return layout.state


def rscnn_logits(state: State, points: Tensor) -> Tensor:
    xyz, features = points[..., :3], points[..., 3:]
    for level, (count, radius, k, _) in enumerate(LEVELS):
        chosen = farthest(xyz, count)
        key = f"SA_modules.{level}.mlps.0.RSConvLayer0.RS_Conv"
        index = _neighbours(xyz, chosen, radius, k)  # the centre first, (B, M, k + 1)
        difference = pick(xyz, index) - pick(xyz, chosen)[:, :, None]
        # The "raw" positions are the same memory, from which the centre was subtracted in place.
        raw = difference
        distance = difference.square().sum(3, keepdim=True).sqrt()
        first = raw[:, :, :1].expand_as(raw)
        relation = torch.cat((distance, first, raw, difference), dim=3)
        x = torch.cat((difference, pick(features, index)), dim=3)
        weight = norm(state, f"{key}.bn_mapping", linear(state, f"{key}.mapping_func1", relation))
        weight = linear(state, f"{key}.mapping_func2", relu(weight))
        if level == 0:
            raised = linear(state, f"{key}.xyz_raising", x)
            x = relu(norm(state, f"{key}.bn_xyz_raising", raised))
        x = relu(norm(state, f"{key}.bn_rsconv", weight * x)).amax(2)
        x = linear(state, f"{key}.cr_mapping", x)
        features = relu(norm(state, f"{key}.bn_channel_raising", x))
        xyz = pick(xyz, chosen)
    x = linear(state, "SA_modules.2.mlps.0.conv_avg", torch.cat((xyz, features), dim=2))
    x = relu(norm(state, "SA_modules.2.mlps.0.bn_avg", x)).amax(1)
    for i in (0, 2):
        x = relu(norm(state, f"FC_layer.{i}.bn.bn", linear(state, f"FC_layer.{i}.fc", x)))
    return linear(state, "FC_layer.4.fc", x)


def _neighbours(xyz: Tensor, chosen: Tensor, radius: float, k: int) -> Tensor:
    """The centre, then up to k others nearer than the radius, in index order; centre as filler."""
    distances = squared_distances(pick(xyz, chosen), xyz)
    clouds = []
    for b in range(xyz.shape[0]):
        rows = []
        for m, centre in enumerate(chosen[b].tolist()):
            d = distances[b, m]
            others = ((d < radius**2) & (d > 0)).nonzero().flatten().tolist()[:k]
            rows.append([centre, *others, *[centre] * (k - len(others))])
        clouds.append(torch.tensor(rows))
    return torch.stack(clouds)
