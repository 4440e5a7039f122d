"""PointMLP and its light version as ma-xu computes them (deviation over each cloud)."""

import torch
from torch import Tensor

from tests.reference.published import Layout, State, farthest, linear, nearest, norm, pick, relu

FULL = (64, (2, 2, 2, 2), (2, 2, 2, 2), 1.0)  # embedding, growth, blocks, expansion
LIGHT = (32, (2, 2, 2, 1), (1, 1, 2, 1), 0.25)
CENTRES = (512, 256, 128, 64)
K = 24


def pointmlp_state(*, light: bool, classes: int) -> State:
    width, growths, blocks, expansion = LIGHT if light else FULL
    layout = Layout()
    _unit(layout, "embedding.net", 3, width)
    for i, (growth, count) in enumerate(zip(growths, blocks, strict=True)):
        layout.vector(f"local_grouper_list.{i}.affine_alpha", 1, 1, 1, width)
        layout.vector(f"local_grouper_list.{i}.affine_beta", 1, 1, 1, width)
        out = width * growth
        _unit(layout, f"pre_blocks_list.{i}.transfer.net", 2 * width, out)
        for part in ("pre", "pos"):
            for j in range(count):
                key = f"{part}_blocks_list.{i}.operation.{j}"
                _unit(layout, f"{key}.net1", out, int(out * expansion))
                _unit(layout, f"{key}.net2", int(out * expansion), out)
        width = out
    for i, (a, b) in ((0, (width, 512)), (4, (512, 256))):
        layout.linear(f"classifier.{i}", a, b, bias=True)
        layout.norm(f"classifier.{i + 1}", b)
    layout.linear("classifier.8", 256, classes, bias=True)
    return layout.state


def _unit(layout: Layout, key: str, c_in: int, c_out: int) -> None:
    layout.linear(f"{key}.0", c_in, c_out, dims=1, bias=False)
    layout.norm(f"{key}.1", c_out)


def pointmlp_logits(state: State, points: Tensor, *, light: bool) -> Tensor:
    blocks = (LIGHT if light else FULL)[2]
    xyz, x = points, relu(_run(state, "embedding.net", points))
    for i, (centres, count) in enumerate(zip(CENTRES, blocks, strict=True)):
        chosen = farthest(xyz, centres)
        centre_xyz, centre = pick(xyz, chosen), pick(x, chosen)
        grouped = pick(x, nearest(centre_xyz, xyz, K))  # (B, M, K, C)
        difference = grouped - centre[:, :, None]
        deviation = torch.stack([cloud.std() for cloud in difference]).view(-1, 1, 1, 1)
        alpha = state[f"local_grouper_list.{i}.affine_alpha"].double()
        beta = state[f"local_grouper_list.{i}.affine_beta"].double()
        aligned = difference / (deviation + 1e-5) * alpha + beta
        joined = torch.cat((aligned, centre[:, :, None].expand_as(aligned)), dim=3)
        x = relu(_run(state, f"pre_blocks_list.{i}.transfer.net", joined))
        x = _residual(state, f"pre_blocks_list.{i}", x, count).amax(2)
        x = _residual(state, f"pos_blocks_list.{i}", x, count)
        xyz = centre_xyz
    x = x.amax(1)
    for i in (0, 4):
        x = relu(norm(state, f"classifier.{i + 1}", linear(state, f"classifier.{i}", x)))
    return linear(state, "classifier.8", x)


def _run(state: State, key: str, x: Tensor) -> Tensor:
    return norm(state, f"{key}.1", linear(state, f"{key}.0", x))


def _residual(state: State, key: str, x: Tensor, count: int) -> Tensor:
    for j in range(count):
        inner = relu(_run(state, f"{key}.operation.{j}.net1", x))
        x = relu(_run(state, f"{key}.operation.{j}.net2", inner) + x)
    return x
