"""Augmentation of pictures, a pure function of (seed, epoch, sample), as that of clouds is."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pointcmt.data.augment import Kind
from pointcmt.data.counter_random import integers, uniform

ERASED = (0.02, 0.33)  # share of a picture's area, and
ASPECT = (0.3, 3.3)  # width over height: of random erasing (Zhong et al., AAAI 2020)


def draw_views(ids: Tensor, views: int, drawn: int, epoch: int, seed: int) -> Tensor:
    """Draw some views of each object without repetition, (B, min(drawn, views)) int64.

    Args:
        ids: (B,) integers that name the samples.
        views: how many each object has.
        drawn: how many of them to draw.
        epoch: at least 0; another epoch draws anew.
        seed: at least 0.
    """
    order = integers((seed, epoch, Kind.VIEWS), ids, views, 1)[..., 0]  # (B, V)
    return order.argsort(dim=1, stable=True)[:, :drawn]


@dataclass(frozen=True)
class PictureAugmentation:
    """Changes of each picture apart, in this order; each is off unless it is asked for.

    Attributes:
        flip: probability that a picture is mirrored, left to right.
        crop: largest share of height and width that is cut away; what is left, a random part of the
            picture, is enlarged bilinearly to the whole.
        erase: probability that a random rectangle is black, as the background is.
    """

    flip: float = 0.0
    crop: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ValueError: a number is out of its range.
        """
        ranges = {
            "flip must be 0 to 1": 0 <= self.flip <= 1,
            "crop must be at least 0 and below 1": 0 <= self.crop < 1,
            "erase must be 0 to 1": 0 <= self.erase <= 1,
        }
        for message, holds in ranges.items():
            if not holds:
                raise ValueError(message)

    def __call__(self, images: Tensor, ids: Tensor, epoch: int, seed: int) -> Tensor:
        """Return changed pictures.

        Args:
            images: (B, V, C, H, W) floats.
            ids: (B,) integers that name the samples, such as their indices in the data set.
            epoch: at least 0; another epoch changes every picture anew.
            seed: at least 0.

        Returns:
            (B, V, C, H, W), of the device and dtype of `images`.
        """
        views = images.shape[1]

        def draw(kind: Kind, columns: int) -> tuple[Tensor, ...]:
            """Numbers in (0, 1), (B, V) each."""
            return uniform((seed, epoch, kind), ids.to(images.device), views, columns).unbind(2)

        if self.flip:
            (chance,) = draw(Kind.FLIP, 1)
            turned = (chance < self.flip)[..., None, None, None]
            images = torch.where(turned, images.flip(4), images)
        if self.crop:
            images = _cropped(images, self.crop, *draw(Kind.CROP, 3))
        if self.erase:
            images = _erased(images, self.erase, *draw(Kind.ERASE, 5))
        return images


def _cropped(images: Tensor, most: float, share: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Enlarge a part of each picture; all numbers are (B, V) in (0, 1)."""
    side = 1 - most * share  # of the picture's, which reaches from -1 to 1 in either direction
    affine = side.new_zeros(*side.shape, 2, 3)
    affine[..., 0, 0] = affine[..., 1, 1] = side
    affine[..., 0, 2], affine[..., 1, 2] = ((2 * at - 1) * (1 - side) for at in (across, down))
    flat = images.flatten(0, 1)  # (B * V, C, H, W)
    grid = F.affine_grid(affine.flatten(0, 1), list(flat.shape), align_corners=False)
    cropped = F.grid_sample(flat, grid.to(flat.dtype), padding_mode="border", align_corners=False)
    return cropped.view_as(images)


def _erased(images: Tensor, probability: float, *numbers: Tensor) -> Tensor:
    """Blacken a rectangle in some pictures; all numbers are (B, V) in (0, 1)."""
    chance, area, aspect, across, down = numbers
    height, width = images.shape[3:]
    share = ERASED[0] + (ERASED[1] - ERASED[0]) * area
    low, high = (math.log(end) for end in ASPECT)
    stretch = (low + (high - low) * aspect).mul(0.5).exp()  # sqrt(width / height)
    inside = _between(width, share.sqrt() * stretch, across)[..., None, :]
    inside = inside & _between(height, share.sqrt() / stretch, down)[..., :, None]
    chosen = inside & (chance < probability)[..., None, None]  # (B, V, H, W)
    return images.masked_fill(chosen.unsqueeze(2), 0.0)


def _between(length: int, share: Tensor, at: Tensor) -> Tensor:
    """Which of so many pixels lie in an interval that takes a share of them, (B, V, length)."""
    taken = (share.clamp(max=1.0) * length).round().clamp(min=1)[..., None]
    first = (at[..., None] * (length - taken + 1)).floor()
    place = torch.arange(length, device=share.device)
    return (place >= first) & (place < first + taken)
