"""PointNet++ as yanx27, erikwijmans and the PointCMT release compute it."""

from itertools import pairwise

import torch
from torch import Tensor

from tests.reference.published import Layout, State, ball, farthest, linear, norm, pick, relu

MSG = (
    ((0.1, 16, (32, 32, 64)), (0.2, 32, (64, 64, 128)), (0.4, 128, (64, 96, 128))),
    ((0.2, 32, (64, 64, 128)), (0.4, 64, (128, 128, 256)), (0.8, 128, (128, 128, 256))),
)
SSG_YANX27 = (((0.2, 32, (64, 64, 128)),), ((0.4, 64, (128, 128, 256)),))
SSG_ERIKWIJMANS = (((0.2, 64, (64, 64, 128)),), ((0.4, 64, (128, 128, 256)),))
CENTRES = (512, 128)
TOP = (256, 512, 1024)


def yanx27_state(*, multi: bool, normals: bool, classes: int) -> State:
    layout = Layout()
    c = 3 if normals else 0
    for level, scales in enumerate(MSG if multi else SSG_YANX27, start=1):
        for scale, (_, _, widths) in enumerate(scales):
            for i, (a, b) in enumerate(zip((c + 3, *widths), widths, strict=False)):
                convs, bns = _yanx27_names(level, scale if multi else None)
                layout.linear(f"{convs}.{i}", a, b, dims=2, bias=True)
                layout.norm(f"{bns}.{i}", b)
        c = sum(widths[-1] for _, _, widths in scales)
    for i, (a, b) in enumerate(zip((c + 3, *TOP), TOP, strict=False)):
        layout.linear(f"sa3.mlp_convs.{i}", a, b, dims=2, bias=True)
        layout.norm(f"sa3.mlp_bns.{i}", b)
    for i, (a, b) in enumerate(((1024, 512), (512, 256), (256, classes)), start=1):
        layout.linear(f"fc{i}", a, b, bias=True)
        if i < 3:
            layout.norm(f"bn{i}", b)
    return layout.state


def yanx27_logits(state: State, points: Tensor, *, multi: bool) -> Tensor:
    """Log-probabilities are published; these are the logits before the log-softmax."""
    xyz, features = points[..., :3], points[..., 3:]
    for level, scales in enumerate(MSG if multi else SSG_YANX27, start=1):
        centres = pick(xyz, farthest(xyz, CENTRES[level - 1]))
        outputs = []
        for scale, (radius, k, _) in enumerate(scales):
            index = ball(xyz, centres, radius, k)
            relative = pick(xyz, index) - centres[:, :, None]
            grouped = pick(features, index)
            # The multi-scale network has the features first, the single-scale one the position.
            x = torch.cat((grouped, relative) if multi else (relative, grouped), dim=3)
            convs, bns = _yanx27_names(level, scale if multi else None)
            for i in range(3):
                x = relu(norm(state, f"{bns}.{i}", linear(state, f"{convs}.{i}", x)))
            outputs.append(x.amax(2))
        xyz, features = centres, torch.cat(outputs, dim=2)
    x = torch.cat((xyz, features), dim=2)
    for i in range(3):
        x = relu(norm(state, f"sa3.mlp_bns.{i}", linear(state, f"sa3.mlp_convs.{i}", x)))
    x = x.amax(1)
    for i in (1, 2):
        x = relu(norm(state, f"bn{i}", linear(state, f"fc{i}", x)))
    return linear(state, "fc3", x)


def _yanx27_names(level: int, scale: int | None) -> tuple[str, str]:
    if scale is None:
        return f"sa{level}.mlp_convs", f"sa{level}.mlp_bns"
    return f"sa{level}.conv_blocks.{scale}", f"sa{level}.bn_blocks.{scale}"


class Names:
    """Key names of erikwijmans's layouts: "v1", "v2" (etw_pytorch_utils), "v3", and the release."""

    def __init__(self, style: str) -> None:
        self.style = style
        bn = "bn.bn" if style == "v1" else "normlayer.bn"
        self.unit = ("{}.layer{}.conv", "{}.layer{}." + bn)
        self.head = [("FC_layer.0.fc", f"FC_layer.0.{bn}"), ("FC_layer.2.fc", f"FC_layer.2.{bn}")]
        self.last = "FC_layer.4.fc"
        if style == "v3":
            self.head = [("fc_layer.0", "fc_layer.1"), ("fc_layer.3", "fc_layer.4")]
            self.last = "fc_layer.7"
        if style == "release":
            self.head, self.last = [("fc_layer1.0.fc", f"fc_layer1.0.{bn}")], "fc_layer2.0"

    def pair(self, mlp: str, i: int) -> tuple[str, str]:
        if self.style == "v3":
            return f"{mlp}.{3 * i}", f"{mlp}.{3 * i + 1}"
        conv, bn = self.unit
        return conv.format(mlp, i), bn.format(mlp, i)


def erikwijmans_state(style: str, *, multi: bool, extra: int, classes: int) -> State:
    layout, names, c = Layout(), Names(style), extra
    for level, scales in enumerate(MSG if multi else SSG_ERIKWIJMANS):
        for scale, (_, _, widths) in enumerate(scales):
            _erikwijmans_mlp(layout, names, f"SA_modules.{level}.mlps.{scale}", (c + 3, *widths))
        c = sum(widths[-1] for _, _, widths in scales)
    _erikwijmans_mlp(layout, names, "SA_modules.2.mlps.0", (c + 3, *TOP))
    c = 1024
    for (fc, bn), width in zip(names.head, (512, 256), strict=False):
        layout.linear(fc, c, width, bias=False)
        layout.norm(bn, width)
        c = width
    layout.linear(names.last, c, classes, bias=True)
    return layout.state


def _erikwijmans_mlp(layout: Layout, names: Names, mlp: str, widths: tuple[int, ...]) -> None:
    for i, (a, b) in enumerate(pairwise(widths)):
        conv, bn = names.pair(mlp, i)
        layout.linear(conv, a, b, dims=2, bias=False)
        layout.norm(bn, b)


def erikwijmans_logits(state: State, points: Tensor, style: str, *, multi: bool) -> Tensor:
    names = Names(style)
    xyz, features = points[..., :3], points[..., 3:]
    for level, scales in enumerate(MSG if multi else SSG_ERIKWIJMANS):
        centres = pick(xyz, farthest(xyz, CENTRES[level]))
        outputs = []
        for scale, (radius, k, _) in enumerate(scales):
            index = ball(xyz, centres, radius, k)
            relative = pick(xyz, index) - centres[:, :, None]
            x = torch.cat((relative, pick(features, index)), dim=3)
            outputs.append(_run_mlp(state, names, f"SA_modules.{level}.mlps.{scale}", x).amax(2))
        xyz, features = centres, torch.cat(outputs, dim=2)
    x = torch.cat((xyz, features), dim=2)
    x = _run_mlp(state, names, "SA_modules.2.mlps.0", x).amax(1)
    for fc, bn in names.head:
        x = relu(norm(state, bn, linear(state, fc, x)))
    return linear(state, names.last, x)


def _run_mlp(state: State, names: Names, mlp: str, x: Tensor) -> Tensor:
    for i in range(3):
        conv, bn = names.pair(mlp, i)
        x = relu(norm(state, bn, linear(state, conv, x)))
    return x
