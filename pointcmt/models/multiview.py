"""The image teacher: one CNN shared by all views, aggregated over them (Section 3.2, Eq. 3)."""

from typing import Literal

import torch
from torch import Tensor, nn

from pointcmt.models.resnet import RESNETS, Stem

Aggregate = Literal["max", "mean"]

TIMM_PREFIX = "timm:"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class MultiViewTeacher(nn.Module):
    """Encode the view images of an object as one feature and classify it.

    F_img = max over views of encoder(view), then a single linear classifier: the teacher of the
    paper's stage I. Where the CNN's own feature is not `feature_dim` long (a narrow ResNet-18,
    ResNet-50, most timm networks), a hidden layer (linear, batch norm, ReLU) projects each view's
    feature before the aggregation, because generator and student need one D. ResNet-18 and
    ResNet-34 at width 1 have D = 512 by nature and get no such layer.

    Args:
        backbone: "resnet18", "resnet34", "resnet50", or "timm:NAME" for any network of the timm
            library, where it is installed.
        num_classes: C, the number of classes.
        in_channels: channels of a view image: 3 colour, 1 depth.
        width: channel multiplier of a ResNet; SimpleView's is 0.25.
        stem: first layers of a ResNet; SimpleView's is "small" (see `ResNet`).
        aggregate: over views, "max" (Eq. 3) or "mean".
        feature_dim: D; None keeps the CNN's own length.

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
    ) -> None:
        super().__init__()
        if aggregate not in ("max", "mean"):
            raise ValueError(f"aggregate must be 'max' or 'mean', got {aggregate!r}")
        self.encoder, own_dim = _backbone(backbone, in_channels, width, stem)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.aggregate = aggregate
        self.feature_dim = own_dim if feature_dim is None else feature_dim
        self.projection = _projection(own_dim, self.feature_dim)
        self.classifier = nn.Linear(self.feature_dim, num_classes)
        mean, std = _normalisation(in_channels)
        self.register_buffer("mean", mean.view(-1, 1, 1), persistent=False)
        self.register_buffer("std", std.view(-1, 1, 1), persistent=False)

    def encode(self, views: Tensor) -> Tensor:
        """Encode views (B, V, in_channels, H, W), float in [0, 1], as F_img (B, D).

        Raises:
            ValueError: `views` is not of that shape.
        """
        if views.ndim != 5 or views.shape[2] != self.in_channels:
            raise ValueError(
                f"views must be (B, V, {self.in_channels}, H, W), got {tuple(views.shape)}"
            )
        images = (views.flatten(0, 1) - self.mean) / self.std  # (B * V, C, H, W)
        features: Tensor = self.projection(self.encoder(images))  # (B * V, D)
        features = features.view(*views.shape[:2], -1)  # (B, V, D)
        return features.amax(dim=1) if self.aggregate == "max" else features.mean(dim=1)

    def classify(self, features: Tensor) -> Tensor:
        """Map features (B, D) to logits (B, C)."""
        logits: Tensor = self.classifier(features)
        return logits

    def forward(self, views: Tensor) -> Tensor:
        """Map views (B, V, in_channels, H, W), float in [0, 1], to logits (B, C)."""
        return self.classify(self.encode(views))


def _backbone(name: str, in_channels: int, width: float, stem: Stem) -> tuple[nn.Module, int]:
    if name in RESNETS:
        resnet = RESNETS[name](in_channels=in_channels, width=width, stem=stem)
        return resnet, resnet.out_channels
    if not name.startswith(TIMM_PREFIX):
        known = ", ".join(RESNETS)
        raise ValueError(f"backbone must be one of {known} or {TIMM_PREFIX}NAME, got {name!r}")
    if width != 1.0 or stem != "imagenet":
        raise ValueError(f"width and stem are options of the ResNets, not of {name!r}")
    return _timm_backbone(name.removeprefix(TIMM_PREFIX), in_channels)


def _timm_backbone(name: str, in_channels: int) -> tuple[nn.Module, int]:
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"the backbone timm:{name} needs timm; pip install timm") from error
    if name not in timm.list_models():
        raise ValueError(f"timm {timm.__version__} has no network named {name!r}")
    encoder: nn.Module = timm.create_model(
        name, pretrained=False, num_classes=0, in_chans=in_channels
    )
    with torch.no_grad():  # num_features may be the length before a network's own head
        probe = encoder.eval()(torch.zeros(1, in_channels, 224, 224))
    return encoder.train(), probe.shape[1]


def _projection(own_dim: int, feature_dim: int) -> nn.Module:
    if own_dim == feature_dim:
        return nn.Identity()
    linear = nn.Linear(own_dim, feature_dim, bias=False)
    return nn.Sequential(linear, nn.BatchNorm1d(feature_dim), nn.ReLU())


def _normalisation(in_channels: int) -> tuple[Tensor, Tensor]:
    """ImageNet's mean and deviation a channel, (in_channels,); their averages unless it is RGB."""
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    if in_channels == 3:
        return mean, std
    return mean.mean().repeat(in_channels), std.mean().repeat(in_channels)
