"""The image teacher: one CNN shared by all views, aggregated over them (Section 3.2, Eq. 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pointcmt.teacher.efficientnet_lite import EfficientNetLite0
from pointcmt.teacher.resnet import RESNETS, ResNet, Stem

Aggregate = Literal["max", "mean"]

LITE = "efficientnet-lite0"
TIMM_PREFIX = "timm:"


@dataclass(frozen=True)
class Backbone:
    """An image encoder, the length of its feature, and the RGB statistics it was made for."""

    encoder: nn.Module
    dim: int
    mean: Sequence[float] = (0.485, 0.456, 0.406)  # of ImageNet
    std: Sequence[float] = (0.229, 0.224, 0.225)


class MultiViewTeacher(nn.Module):
    """Encode the view images of an object as one feature and classify it.

    F_img = max over views of encoder(view), then a single linear classifier: the teacher of the
    paper's stage I. Where the CNN's own feature is not `feature_dim` long (a narrow ResNet-18,
    ResNet-50, most timm networks), a hidden layer (linear, batch norm, ReLU) projects each view's
    feature before the aggregation, because generator and student need one D. ResNet-18 and
    ResNet-34 at width 1 have D = 512 by nature and get no such layer.

    Several `networks` see the same views and share the classifier. It is linear, so the mean of
    their features, which is F_img then, gets the mean of their logits.

    Args:
        backbone: "resnet18", "resnet34", "resnet50", "efficientnet-lite0", or "timm:NAME" for any
            network of the timm library, where it is installed.
        num_classes: C, the number of classes.
        in_channels: channels of a view image: 3 colour, 1 depth.
        width: channel multiplier of a ResNet; SimpleView's is 0.25.
        stem: first layers of a ResNet; SimpleView's is "small" (see `ResNet`).
        aggregate: over views, "max" (Eq. 3) or "mean".
        feature_dim: D; None keeps the CNN's own length.
        networks: K, how many CNNs answer together.

    Raises:
        ValueError: an unknown name, or an option that the backbone does not have.
        ImportError: a timm backbone without timm.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str = "resnet18",
        num_classes: int = 40,
        in_channels: int = 3,
        width: float = 1.0,
        stem: Stem = "imagenet",
        aggregate: Aggregate = "max",
        feature_dim: int | None = 512,
        networks: int = 1,
    ) -> None:
        super().__init__()
        if networks < 1:
            raise ValueError(f"networks must be at least 1, got {networks}")
        if aggregate not in ("max", "mean"):
            raise ValueError(f"aggregate must be 'max' or 'mean', got {aggregate!r}")
        made = _make_backbone(backbone, in_channels, width, stem)
        self.backbone = backbone
        self.encoder = made.encoder
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.aggregate = aggregate
        self.feature_dim = made.dim if feature_dim is None else feature_dim
        self.projection = _projection(made.dim, self.feature_dim)
        self.classifier = nn.Linear(self.feature_dim, num_classes)
        further = [_make_backbone(backbone, in_channels, width, stem) for _ in range(networks - 1)]
        self.others = nn.ModuleList(_Network(other, self.feature_dim) for other in further)
        self.register_buffer("mean", _statistic(made.mean, in_channels), persistent=False)
        self.register_buffer("std", _statistic(made.std, in_channels), persistent=False)

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks of the CNNs, each of which maps one tensor to another.

        Raises:
            ValueError: the CNN is one of timm's, whose blocks are not known.
        """
        found: list[nn.Module] = []
        for encoder in self.encoders:
            if not isinstance(encoder, ResNet | EfficientNetLite0):
                raise ValueError(f"the blocks of {self.backbone} are not known")
            found += encoder.blocks
        return found

    @property
    def encoders(self) -> list[nn.Module]:
        """The K CNNs, each from images (N, in_channels, H, W) to features."""
        return [self.encoder, *(other.get_submodule("encoder") for other in self.others)]

    def encode(self, views: Tensor) -> Tensor:
        """Encode views (B, V, in_channels, H, W), float in [0, 1], as F_img (B, D).

        Raises:
            ValueError: `views` is not of that shape.
        """
        return self.encode_each(views).mean(dim=1)

    def encode_each(self, views: Tensor) -> Tensor:
        """Encode views as `encode` does, with a feature of each network: (B, K, D).

        Raises:
            ValueError: `views` is not of that shape.
        """
        if views.ndim != 5 or views.shape[2] != self.in_channels:
            raise ValueError(
                f"views must be (B, V, {self.in_channels}, H, W), got {tuple(views.shape)}"
            )
        images = (views.flatten(0, 1) - self.mean) / self.std  # (B * V, C, H, W)
        found = [self.projection(self.encoder(images)), *(other(images) for other in self.others)]
        features = torch.stack([each.view(*views.shape[:2], -1) for each in found], dim=1)
        return features.amax(dim=2) if self.aggregate == "max" else features.mean(dim=2)

    def classify(self, features: Tensor) -> Tensor:
        """Map features (..., D) to logits (..., C)."""
        logits: Tensor = self.classifier(features)
        return logits

    def forward(self, views: Tensor) -> Tensor:
        """Map views (B, V, in_channels, H, W), float in [0, 1], to logits (B, C)."""
        return self.classify(self.encode(views))


class _Network(nn.Module):
    """A CNN and its projection: images (N, in_channels, H, W) to features (N, D)."""

    def __init__(self, made: Backbone, feature_dim: int) -> None:
        super().__init__()
        self.encoder = made.encoder
        self.projection = _projection(made.dim, feature_dim)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.projection(self.encoder(images))
        return features


def _make_backbone(name: str, in_channels: int, width: float, stem: Stem) -> Backbone:
    if name in RESNETS:
        resnet = RESNETS[name](in_channels=in_channels, width=width, stem=stem)
        return Backbone(resnet, resnet.out_channels)
    if name != LITE and not name.startswith(TIMM_PREFIX):
        known = ", ".join((*RESNETS, LITE))
        raise ValueError(f"backbone must be one of {known} or {TIMM_PREFIX}NAME, got {name!r}")
    if width != 1.0 or stem != "imagenet":
        raise ValueError(f"width and stem are options of the ResNets, not of {name!r}")
    if name == LITE:
        lite = EfficientNetLite0(in_channels)
        return Backbone(lite, lite.out_channels, lite.MEAN, lite.STD)
    return _make_timm_backbone(name.removeprefix(TIMM_PREFIX), in_channels)


def _make_timm_backbone(name: str, in_channels: int) -> Backbone:
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"the backbone timm:{name} needs timm; pip install timm") from error
    if not timm.is_model(name.partition(".")[0]):  # behind the dot: which weights
        raise ValueError(f"timm {timm.__version__} has no network named {name!r}")
    encoder = timm.create_model(name, pretrained=False, num_classes=0, in_chans=in_channels)
    with torch.no_grad():  # num_features may be the length before a network's own head
        probe = encoder.eval()(torch.zeros(1, in_channels, 224, 224))
    made_for = encoder.pretrained_cfg
    return Backbone(encoder.train(), probe.shape[1], made_for["mean"], made_for["std"])


def _projection(own_dim: int, feature_dim: int) -> nn.Module:
    if own_dim == feature_dim:
        return nn.Identity()
    linear = nn.Linear(own_dim, feature_dim, bias=False)
    return nn.Sequential(linear, nn.BatchNorm1d(feature_dim), nn.ReLU())


def _statistic(rgb: Sequence[float], in_channels: int) -> Tensor:
    """A statistic for each channel, (in_channels, 1, 1): of RGB as given, else its average."""
    values = torch.tensor(rgb)
    if in_channels != 3:
        values = values.mean().repeat(in_channels)
    return values.view(-1, 1, 1)
