"""Augmentation of batches of clouds, a pure function of (seed, epoch, sample).

Every random number is a hash of the seed, the epoch, the sample's id, the kind of change and the
point, so it does not matter which process makes which batch, in which order, of which size or on
which device, nor where a run was resumed. Nothing loops over samples.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from pointcmt.data.counter_random import integers, normal, uniform

AXES = {"x": 0, "y": 1, "z": 2}


class Kind(IntEnum):
    """What a random number is for; each kind has a stream of its own."""

    SCALE = 1
    SHIFT = 2
    ROTATE = 3
    JITTER = 4
    DROP_SHARE = 5
    DROP_POINT = 6
    SHUFFLE = 7
    TUMBLE = 8
    VIEWS = 9
    FLIP = 10
    CROP = 11
    ERASE = 12


@dataclass(frozen=True)
class Augmentation:
    """The changes of the papers, in this order; each is off unless it is asked for.

    PointCMT, RS-CNN and PointMLP train with `scale=(2/3, 3/2), shift=0.2, shuffle=True`; PointNet
    with `rotate=180, jitter=0.01`; PointNet++ with `scale`, `shift=0.1` and `dropout=0.875`.

    Attributes:
        rotate: largest angle in degrees, U(-rotate, rotate), about the axis `up`; 180 is any angle.
        tumble: turn to any orientation in space, all alike likely (Shoemake's uniform quaternions).
        scale: range of the factor, drawn for each axis apart; None keeps the size.
        shift: largest shift of each axis, U(-shift, shift).
        jitter: standard deviation of the noise added to each coordinate.
        jitter_clip: largest noise.
        dropout: largest share of dropped points; the share is U(0, dropout), and dropped points are
            replaced by the cloud's first point, as PointNet++ does.
        shuffle: put the points into a random order.
        up: the vertical axis of the clouds: "y" in all HDF5 releases, "z" in ModelNet's meshes.
        normals: the three channels of a normal, which turns with the cloud and follows its scale;
            None where points have none.
    """

    rotate: float = 0.0
    tumble: bool = False
    scale: tuple[float, float] | None = None
    shift: float = 0.0
    jitter: float = 0.0
    jitter_clip: float = 0.05
    dropout: float = 0.0
    shuffle: bool = False
    up: str = "y"
    normals: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ValueError: a number is out of its range.
        """
        low, high = self.scale or (1.0, 1.0)
        ranges = {
            "rotate must be 0 to 180 degrees": 0 <= self.rotate <= 180,
            "scale must be (low, high) with 0 < low <= high": 0 < low <= high < math.inf,
            "shift must not be negative": 0 <= self.shift < math.inf,
            "jitter must not be negative": 0 <= self.jitter < math.inf,
            "jitter_clip must be positive": self.jitter_clip > 0,
            "dropout must be at least 0 and below 1": 0 <= self.dropout < 1,
            "up must be x, y or z": self.up in AXES,
        }
        for message, holds in ranges.items():
            if not holds:
                raise ValueError(message)

    def __call__(self, points: Tensor, ids: Tensor, epoch: int, seed: int) -> Tensor:
        """Return augmented copies of clouds.

        Args:
            points: (B, N, C >= 3) float; channels that are not coordinates or normals are kept.
            ids: (B,) integers that name the samples, such as their indices in the data set.
            epoch: at least 0; another epoch changes every cloud anew.
            seed: at least 0.

        Returns:
            (B, N, C), on the device and of the dtype of `points`.

        Raises:
            ValueError: a shape, `epoch` or `seed` is wrong.
        """
        _require_batch(points, ids, epoch, seed, self.normals)
        draw = _Draw(ids.to(points.device), epoch, seed)
        vectors = [points[..., list(places)] for places in ((0, 1, 2), self.normals) if places]
        xyz, *normals = self._scaled(self._tumbled(self._rotated(vectors, draw), draw), draw)
        if self.shift:
            xyz = xyz + (2 * draw.uniform(Kind.SHIFT, 1, 3) - 1).to(xyz.dtype) * self.shift
        if self.jitter:
            noise = draw.normal(Kind.JITTER, xyz.shape[1], 3) * self.jitter
            xyz = xyz + noise.clamp(-self.jitter_clip, self.jitter_clip).to(xyz.dtype)
        changed = points.clone()  # (B, N, C)
        changed[..., :3] = xyz
        if self.normals:
            changed[..., list(self.normals)] = normals[0]
        return self._reordered(changed, draw)

    def _rotated(self, vectors: list[Tensor], draw: "_Draw") -> list[Tensor]:
        if not self.rotate:
            return vectors
        angle = (2 * draw.uniform(Kind.ROTATE, 1, 1) - 1) * math.radians(self.rotate)  # (B, 1, 1)
        cos, sin = angle.cos().to(vectors[0].dtype), angle.sin().to(vectors[0].dtype)
        return [_turn(one, cos, sin, AXES[self.up]) for one in vectors]

    def _tumbled(self, vectors: list[Tensor], draw: "_Draw") -> list[Tensor]:
        if not self.tumble:
            return vectors
        turn = _rotations(draw.normal(Kind.TUMBLE, 1, 4)[:, 0]).to(vectors[0].dtype)  # (B, 3, 3)
        return [one @ turn.mT for one in vectors]

    def _scaled(self, vectors: list[Tensor], draw: "_Draw") -> list[Tensor]:
        """Scale coordinates; a normal scales by the inverse, so that it stays at right angles."""
        if self.scale is None:
            return vectors
        xyz, *normals = vectors
        low, high = self.scale
        factor = (low + (high - low) * draw.uniform(Kind.SCALE, 1, 3)).to(xyz.dtype)  # (B, 1, 3)
        return [
            xyz * factor,
            *(torch.nn.functional.normalize(normal / factor, dim=-1) for normal in normals),
        ]

    def _reordered(self, points: Tensor, draw: "_Draw") -> Tensor:
        if self.dropout:
            share = draw.uniform(Kind.DROP_SHARE, 1, 1) * self.dropout  # (B, 1, 1)
            dropped = draw.uniform(Kind.DROP_POINT, points.shape[1], 1) < share  # (B, N, 1)
            points = torch.where(dropped, points[:, :1], points)
        if self.shuffle:
            order = draw.integers(Kind.SHUFFLE, points.shape[1], 1).argsort(dim=1, stable=True)
            points = points.gather(1, order.expand(-1, -1, points.shape[2]))  # (B, N, C)
        return points


@dataclass(frozen=True)
class _Draw:
    """Random numbers of a batch's samples, (B, rows, columns)."""

    ids: Tensor
    epoch: int
    seed: int

    def uniform(self, kind: Kind, rows: int, columns: int) -> Tensor:
        return uniform((self.seed, self.epoch, kind), self.ids, rows, columns)

    def normal(self, kind: Kind, rows: int, columns: int) -> Tensor:
        return normal((self.seed, self.epoch, kind), self.ids, rows, columns)

    def integers(self, kind: Kind, rows: int, columns: int) -> Tensor:
        return integers((self.seed, self.epoch, kind), self.ids, rows, columns)


def _turn(xyz: Tensor, cos: Tensor, sin: Tensor, up: int) -> Tensor:
    """Turn (B, N, 3) about axis `up`; `cos` and `sin` are (B, 1, 1)."""
    first, second = (up + 1) % 3, (up + 2) % 3
    turned = xyz.clone()
    a, b = xyz[..., first], xyz[..., second]  # (B, N)
    turned[..., first] = a * cos[..., 0] - b * sin[..., 0]
    turned[..., second] = a * sin[..., 0] + b * cos[..., 0]
    return turned


def _rotations(quaternions: Tensor) -> Tensor:
    """Return the rotations (B, 3, 3) of quaternions (B, 4) of any length above 0."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = [
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _require_batch(
    points: Tensor, ids: Tensor, epoch: int, seed: int, normals: tuple[int, ...] | None
) -> None:
    least = 1 + max((2, *(normals or ())))
    if points.dim() != 3 or points.shape[-1] < least:
        raise ValueError(f"points must be (B, N, C >= {least}), not {points.shape}")
    if ids.shape != points.shape[:1] or ids.is_floating_point():
        raise ValueError(f"ids must be ({len(points)},) integers, not {ids.shape} {ids.dtype}")
    if epoch < 0 or seed < 0:
        raise ValueError(f"epoch and seed must not be negative, not {epoch} and {seed}")
