"""torchvision's ResNets in plain tensor operations, by torchvision's keys."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from tests.reference.published import Layout, State, linear, relu

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def resnet_state(name: str, *, classes: int, width: int = 64) -> State:
    layout, expansion = Layout(), 4 if name == "resnet50" else 1
    _conv(layout, "conv1", "bn1", 3, width, 7)
    c_in = width
    for stage, depth in enumerate(DEPTHS[name], start=1):
        c = width * 2 ** (stage - 1)
        for i in range(depth):
            key = f"layer{stage}.{i}"
            if expansion == 4:
                _conv(layout, f"{key}.conv1", f"{key}.bn1", c_in, c, 1)
                _conv(layout, f"{key}.conv2", f"{key}.bn2", c, c, 3)
                _conv(layout, f"{key}.conv3", f"{key}.bn3", c, 4 * c, 1)
            else:
                _conv(layout, f"{key}.conv1", f"{key}.bn1", c_in, c, 3)
                _conv(layout, f"{key}.conv2", f"{key}.bn2", c, c, 3)
            if i == 0 and (stage > 1 or expansion == 4):
                _conv(layout, f"{key}.downsample.0", f"{key}.downsample.1", c_in, c * expansion, 1)
            c_in = c * expansion
    layout.linear("fc", c_in, classes, bias=True)
    return layout.state


def _conv(layout: Layout, key: str, bn: str, c_in: int, c_out: int, size: int) -> None:
    layout.vector(f"{key}.weight", c_out, c_in, size, size)
    layout.state[f"{key}.weight"] /= size * c_in**0.5
    layout.norm(bn, c_out)


def resnet_features(state: State, images: Tensor, name: str) -> Tensor:
    """Images (B, 3, H, W) to what the last layer reads, (B, D)."""
    x = relu(_unit(state, "conv1", "bn1", images, stride=2, padding=3))
    x = max_pool2d(x, 3, 2, 1)
    for stage, depth in enumerate(DEPTHS[name], start=1):
        for i in range(depth):
            stride = 2 if i == 0 and stage > 1 else 1
            x = _block(state, f"layer{stage}.{i}", x, stride)
    return x.mean((2, 3))


def resnet_logits(state: State, images: Tensor, name: str) -> Tensor:
    return linear(state, "fc", resnet_features(state, images, name))


def _block(state: State, key: str, x: Tensor, stride: int) -> Tensor:
    if f"{key}.conv3.weight" in state:
        y = relu(_unit(state, f"{key}.conv1", f"{key}.bn1", x))
        y = relu(_unit(state, f"{key}.conv2", f"{key}.bn2", y, stride=stride, padding=1))
        y = _unit(state, f"{key}.conv3", f"{key}.bn3", y)
    else:
        y = relu(_unit(state, f"{key}.conv1", f"{key}.bn1", x, stride=stride, padding=1))
        y = _unit(state, f"{key}.conv2", f"{key}.bn2", y, padding=1)
    if f"{key}.downsample.0.weight" in state:
        x = _unit(state, f"{key}.downsample.0", f"{key}.downsample.1", x, stride=stride)
    return relu(y + x)


def _unit(
    state: State, conv: str, bn: str, x: Tensor, *, stride: int = 1, padding: int = 0
) -> Tensor:
    y = conv2d(x, state[f"{conv}.weight"].double(), None, stride, padding)
    weight, bias, mean, variance = (
        state[f"{bn}.{part}"].double().view(-1, 1, 1)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (y - mean) / torch.sqrt(variance + 1e-5) * weight + bias
