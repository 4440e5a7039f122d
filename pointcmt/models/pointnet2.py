"""PointNet++ (Qi et al., NeurIPS 2017): hierarchical features by repeated set abstraction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from pointcmt.models.layers import scaled
from pointcmt.models.set_abstraction import GlobalMLP, LocalMLP, SetAbstraction
from pointcmt.models.student import HeadName, PointStudent, Size

GLOBAL = (256, 512, 1024)


@dataclass(frozen=True)
class Scale:
    """One grouping of a level: ball radius, neighbours and MLP widths."""

    radius: float
    k: int
    widths: tuple[int, ...]


Levels = tuple[tuple[Scale, ...], ...]


def require_counts(levels: Levels, centres: Any, neighbours: Any) -> None:
    """Refuse centres and neighbours that do not fit the levels.

    Raises:
        ValueError: there are too few or too many, or one is no whole number above 0.
    """
    if not _are_counts(centres, len(levels)):
        raise ValueError(f"centres must be {len(levels)} whole numbers above 0, got {centres!r}")
    sizes = [len(level) for level in levels]
    fits = not neighbours or (
        isinstance(neighbours, list | tuple)
        and len(neighbours) == len(sizes)
        and all(_are_counts(each, size) for each, size in zip(neighbours, sizes, strict=True))
    )
    if not fits:
        raise ValueError(
            f"neighbours must be {len(sizes)} lists of {sizes[0]} whole numbers above 0, "
            f"got {neighbours!r}"
        )


def _are_counts(values: Any, count: int) -> bool:
    listed = isinstance(values, list | tuple) and len(values) == count
    return listed and all(type(value) is int and value > 0 for value in values)


class Encoder:
    """The layers of an encoder, for classification and for segmentation; see `PointNet2`.

    Attributes:
        widths: channels of each level's features.
        levels: the set abstractions.
        top: the global PointNet.
    """

    def __init__(
        self,
        levels: Levels,
        channels: int,
        width: float,
        bias: bool,
        centres: Sequence[int],
        neighbours: Sequence[Sequence[int]] | None,
    ) -> None:
        neighbours = neighbours or [[scale.k for scale in level] for level in levels]
        self.widths: list[int] = []
        self.levels, c_in = nn.ModuleList(), channels - 3
        for level, m, ks in zip(levels, centres, neighbours, strict=True):
            widths = [tuple(scaled(c, width) for c in scale.widths) for scale in level]
            scales = [
                LocalMLP(scale.radius, k, (c_in, *w), bias=bias)
                for scale, k, w in zip(level, ks, widths, strict=True)
            ]
            self.levels.append(SetAbstraction(m, scales))
            c_in = sum(w[-1] for w in widths)
            self.widths.append(c_in)
        self.top = GlobalMLP((c_in, *(scaled(c, width) for c in GLOBAL)), bias=bias)


class PointNet2(PointStudent):
    """Two levels of set abstraction and a global PointNet; subclasses say which `LEVELS`.

    Args:
        num_classes: C.
        channels: of a point; those behind xyz (normals, say) are features of the first level.
        feature_dim: length of the global feature with the "pointcmt" head.
        width: multiplies the channels of all set abstractions; 0.5 gives a small student.
        head: see `PointStudent`.
        bias: give the linear maps before a batch norm a bias, as some published ports have.
        centres: how many points each level samples; the first is the fewest points of a cloud.
        neighbours: neighbours of each level's scales, instead of the network's own.
        dropout: probability in the head; None is the head's own, 0.5 for "original" and none
            for "pointcmt".
    """

    LEVELS: ClassVar[Levels]

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = 3,
        feature_dim: int = 512,
        width: float = 1.0,
        head: HeadName = "pointcmt",
        bias: bool = False,
        centres: Sequence[int] = (512, 128),
        neighbours: Sequence[Sequence[int]] | None = None,
        dropout: float | None = None,
    ) -> None:
        require_counts(self.LEVELS, centres, neighbours)
        super().__init__(
            num_classes,
            channels=channels,
            min_points=centres[0],
            pooled=scaled(GLOBAL[-1], width),
            feature_dim=feature_dim,
            head=head,
            biases=(bias, bias),
            dropout=dropout,
        )
        encoder = Encoder(self.LEVELS, channels, width, bias, centres, neighbours)
        self.levels, self.top = encoder.levels, encoder.top

    def embed(self, points: Tensor) -> Tensor:
        """Map (B, N, channels) to (B, 1024 * width)."""
        xyz = points[..., :3].contiguous()
        features = points[..., 3:] if self.channels > 3 else None
        for level in self.levels:
            xyz, features = level(xyz, features)  # (B, M, 3), (B, M, C)
        pooled: Tensor = self.top(xyz, features)  # (B, P)
        return pooled


class PointNet2SSG(PointNet2):
    """Single-scale grouping."""

    SMALL: ClassVar[Mapping[str, Any]] = {"centres": (32, 12), "neighbours": ((8,), (16,))}
    SIZES = (Size(1_475_688, 1.48, {"head": "original", "bias": True}),)  # the public port
    LEVELS = (
        (Scale(0.2, 32, (64, 64, 128)),),
        (Scale(0.4, 64, (128, 128, 256)),),
    )


class PointNet2MSG(PointNet2):
    """Multi-scale grouping, the PointNet++ of the PointCMT paper."""

    SMALL: ClassVar[Mapping[str, Any]] = {
        "centres": (32, 12),
        "neighbours": ((4, 8, 40), (4, 8, 12)),
    }
    SIZES = (
        Size(1_621_512, 1.62),  # Table 1 of the PointCMT paper
        Size(1_747_368, 1.75, {"head": "original", "bias": True}),  # the public port
    )
    LEVELS = (
        (
            Scale(0.1, 16, (32, 32, 64)),
            Scale(0.2, 32, (64, 64, 128)),
            Scale(0.4, 128, (64, 96, 128)),
        ),
        (
            Scale(0.2, 32, (64, 64, 128)),
            Scale(0.4, 64, (128, 128, 256)),
            Scale(0.8, 128, (128, 128, 256)),
        ),
    )
