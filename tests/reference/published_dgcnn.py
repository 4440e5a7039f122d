"""DGCNN as WangYueFt and antao97 compute it."""

import torch
from torch import Tensor

from tests.reference.published import Layout, State, leaky, linear, nearest, norm, pick

WIDTHS = (64, 64, 128, 256)


def dgcnn_state(*, classes: int) -> State:
    layout, c = Layout(), 3
    for i, width in enumerate((*WIDTHS, 1024), start=1):
        c_in = 2 * c if i < 5 else sum(WIDTHS)
        layout.linear(f"conv{i}.0", c_in, width, dims=2 if i < 5 else 1, bias=False)
        layout.norm(f"bn{i}", width)
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            layout.state[f"conv{i}.1.{part}"] = layout.state[f"bn{i}.{part}"]
        c = width
    layout.linear("linear1", 2048, 512, bias=False)
    layout.norm("bn6", 512)
    layout.linear("linear2", 512, 256, bias=True)
    layout.norm("bn7", 256)
    layout.linear("linear3", 256, classes, bias=True)
    return layout.state


def dgcnn_logits(state: State, points: Tensor, k: int) -> Tensor:
    x, levels = points, []
    for i in range(1, 5):
        neighbour = pick(x, nearest(x, x, k))  # (B, N, k, C)
        own = x[:, :, None].expand_as(neighbour)
        edges = torch.cat((neighbour - own, own), dim=3)
        x = leaky(norm(state, f"bn{i}", linear(state, f"conv{i}.0", edges))).amax(2)
        levels.append(x)
    x = leaky(norm(state, "bn5", linear(state, "conv5.0", torch.cat(levels, dim=2))))
    x = torch.cat((x.amax(1), x.mean(1)), dim=1)
    x = leaky(norm(state, "bn6", linear(state, "linear1", x)))
    x = leaky(norm(state, "bn7", linear(state, "linear2", x)))
    return linear(state, "linear3", x)
