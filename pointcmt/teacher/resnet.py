"""ResNet-18/34/50 (He et al., CVPR 2016) as image encoders, with torchvision's parameter names.

The names and shapes are those of torchvision's ResNets without the last layer `fc`, so its
published ImageNet weights fit; `width` and `stem` make SimpleView's (Goyal et al., ICML 2021)
quarter-width ResNet-18 for small depth images.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn

Stem = Literal["imagenet", "small"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, the block of ResNet-18 and ResNet-34.

    Args:
        inputs: channels that come in.
        channels: channels of the block; it puts out `channels * expansion`.
        stride: of the first convolution and of the shortcut.
    """

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(inputs, channels * self.expansion, stride)
        nn.init.zeros_(self.bn2.weight)  # each block starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, channels, H / stride, W / stride)."""
        y: Tensor = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y))
        out: Tensor = (y + self.downsample(x)).relu()
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut, the block of ResNet-50.

    The stride sits on the 3x3 convolution, as in torchvision ("ResNet V1.5").

    Args:
        inputs: channels that come in.
        channels: channels of the 3x3 convolution; the block puts out `channels * expansion`.
        stride: of the 3x3 convolution and of the shortcut.
    """

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = channels * self.expansion
        self.conv1 = _conv(inputs, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv(channels, channels, 3, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = _conv(channels, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)
        nn.init.zeros_(self.bn3.weight)  # each block starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, 4 * channels, H / stride, W / stride)."""
        y: Tensor = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        out: Tensor = (y + self.downsample(x)).relu()
        return out


class ResNet(nn.Module):
    """An image encoder: images to one feature vector each.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        depths: blocks in each of the four stages.
        in_channels: channels of the images.
        width: multiplies every channel count; SimpleView's quarter-width net is 0.25.
        stem: "imagenet" is a 7x7 convolution of stride 2 and a max pool of stride 2; "small"
            is SimpleView's single 3x3 convolution of stride 1, which keeps small images whole
            at 16 times the work.

    Attributes:
        out_channels: length of the feature vector, 512 * width (ResNet-50: 2048 * width).

    Raises:
        ValueError: `in_channels` is below 1, `width` leaves no channel, or `stem` is unknown.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        in_channels: int = 3,
        width: float = 1.0,
        stem: Stem = "imagenet",
    ) -> None:
        super().__init__()
        channels = [round(64 * 2**stage * width) for stage in range(4)]
        if in_channels < 1 or channels[0] < 1:
            raise ValueError(f"in_channels={in_channels} and width={width} leave no channels")
        if stem not in ("imagenet", "small"):
            raise ValueError(f"stem must be 'imagenet' or 'small', got {stem!r}")
        small = stem == "small"
        self.conv1 = _conv(in_channels, channels[0], 3 if small else 7, 1 if small else 2)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        inputs = [channels[0], *(c * block.expansion for c in channels)]
        self.layer1 = _stage(block, inputs[0], channels[0], depths[0], stride=1)
        self.layer2 = _stage(block, inputs[1], channels[1], depths[1], stride=2)
        self.layer3 = _stage(block, inputs[2], channels[2], depths[2], stride=2)
        self.layer4 = _stage(block, inputs[3], channels[3], depths[3], stride=2)
        self.out_channels = inputs[4]

    @property
    def blocks(self) -> list[nn.Module]:
        """The residual blocks, in their order."""
        return [*self.layer1, *self.layer2, *self.layer3, *self.layer4]

    def forward(self, images: Tensor) -> Tensor:
        """Encode images (B, in_channels, H, W) of any size as features (B, out_channels)."""
        x: Tensor = self.maxpool(self.bn1(self.conv1(images)).relu())
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, out, H / 32, W / 32)
        return x.mean(dim=(2, 3))  # (B, out)


def resnet18(in_channels: int = 3, width: float = 1.0, stem: Stem = "imagenet") -> ResNet:
    """ResNet-18: 11.2M parameters without the last layer at width 1, features of length 512."""
    return ResNet(BasicBlock, (2, 2, 2, 2), in_channels, width, stem)


def resnet34(in_channels: int = 3, width: float = 1.0, stem: Stem = "imagenet") -> ResNet:
    """ResNet-34: 21.3M parameters without the last layer at width 1, features of length 512."""
    return ResNet(BasicBlock, (3, 4, 6, 3), in_channels, width, stem)


def resnet50(in_channels: int = 3, width: float = 1.0, stem: Stem = "imagenet") -> ResNet:
    """ResNet-50: 23.5M parameters without the last layer at width 1, features of length 2048."""
    return ResNet(Bottleneck, (3, 4, 6, 3), in_channels, width, stem)


RESNETS: dict[str, Callable[..., ResNet]] = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
}


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def _stage(
    block: type[BasicBlock] | type[Bottleneck], inputs: int, channels: int, depth: int, stride: int
) -> nn.Sequential:
    later = [block(channels * block.expansion, channels, 1) for _ in range(depth - 1)]
    return nn.Sequential(block(inputs, channels, stride), *later)
