"""What a student is: the protocol that PointCMT trains, and the base of the shipped students."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from pointcmt.models.layers import MLPLayer

HeadName = Literal["pointcmt", "original"]
HEADS: tuple[HeadName, ...] = ("pointcmt", "original")


class Network(Protocol):
    """What reads clouds and gives logits: any `torch.nn.Module` with these members.

    The methods are those of `torch.nn.Module`; they stand here so that code which holds a `Network`
    can be checked by type.

    Attributes:
        num_classes: C, how many classes of objects it knows.
        min_points: the smallest N that it accepts.
    """

    num_classes: int
    min_points: int

    def __call__(self, points: Tensor) -> Tensor:
        """Map clouds (B, N, 3 + extra channels) to logits, the last dimension."""

    def train(self, mode: bool = True) -> Self:
        """See `torch.nn.Module.train`."""

    def eval(self) -> Self:
        """See `torch.nn.Module.eval`."""

    def to(self, device: torch.device | str) -> Self:
        """See `torch.nn.Module.to`."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """See `torch.nn.Module.parameters`."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """See `torch.nn.Module.named_parameters`."""

    def state_dict(self) -> dict[str, Any]:
        """See `torch.nn.Module.state_dict`."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """See `torch.nn.Module.load_state_dict`."""


@runtime_checkable
class Student(Network, Protocol):
    """A point-cloud classifier that PointCMT can train; its logits are (B, C).

    `encode` and `classify` must be differentiable, and `forward` must be the one after the other.

    Attributes:
        feature_dim: D, the length of the global feature; the teacher's must be equal.
    """

    feature_dim: int

    def encode(self, points: Tensor) -> Tensor:
        """Map clouds (B, N, 3 + extra channels) to global features (B, D)."""

    def classify(self, features: Tensor) -> Tensor:
        """Map global features (B, D), of points or of images, to logits (B, C)."""


@dataclass(frozen=True)
class Size:
    """How many parameters a network has, beside the figure that was published for it.

    Attributes:
        parameters: as built here, exactly.
        published: in millions, as printed; None where nothing is.
        options: keyword arguments of the class.
        classes: C.
    """

    parameters: int
    published: float | None
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 40


def require_neighbours(k: int) -> None:
    """Refuse a number of neighbours that no network can run with.

    Raises:
        ValueError: `k` is not a whole number of 1 or more.
    """
    if type(k) is not int or k < 1:
        raise ValueError(f"k is {k!r}; a network has a whole number of neighbours, 1 or more")


class PointStudent(nn.Module):
    """Base of the shipped students: checks the input and carries the head.

    A subclass takes at least the keywords `channels`, `feature_dim`, `width`, `head` and `dropout`,
    and says two things of itself, which the tests of every student read: `SMALL`, options that
    make it cheap and let it take 40 points, and `SIZES`, its parameter counts beside the published
    ones. It implements `embed`, from points to one pooled descriptor. The head makes the global
    feature of it:

    - "pointcmt": one hidden layer (linear without bias, batch norm, activation) to `feature_dim`,
      as the networks of the paper have;
    - "original": the hidden layers of the published network, with a feature of 256 numbers.

    Either way one linear classifier follows. Dropout acts on what the classifier reads and between
    hidden layers, so that features compared with the teacher's are whole. The "pointcmt" head has
    none unless asked: the classifier reads features of points and of images there, and under two
    masks equal features would have unequal logits.

    Args:
        num_classes: C.
        channels: channels of a point: 3 for xyz, more for normals or other values behind them.
        min_points: the smallest N.
        pooled: P, length of the pooled descriptor.
        feature_dim: D of the "pointcmt" head.
        head: which head.
        original: widths of the original hidden layers.
        biases: whether the original hidden layers' linear maps have a bias.
        slope: negative slope of the head's activation; 0 is ReLU.
        dropout: probability, in [0, 1); None is 0 for "pointcmt" and `original_dropout` for
            "original".
        original_dropout: probability in the published head.
    """

    SMALL: ClassVar[Mapping[str, Any]]
    SIZES: ClassVar[tuple[Size, ...]]

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int,
        min_points: int,
        pooled: int,
        feature_dim: int,
        head: HeadName,
        original: tuple[int, ...] = (512, 256),
        biases: tuple[bool, ...] = (False, False),
        slope: float = 0.0,
        dropout: float | None = None,
        original_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}, got {head!r}")
        if channels < 3:
            raise ValueError(f"channels must be at least 3 (x, y, z), got {channels}")
        widths = original if head == "original" else (feature_dim,)
        bias = biases if head == "original" else (False,)
        self.num_classes = num_classes
        self.channels = channels
        self.min_points = min_points
        self.feature_dim = widths[-1]
        self.hidden = nn.ModuleList(
            MLPLayer(c_in, c_out, bias=b, slope=slope)
            for (c_in, c_out), b in zip(pairwise((pooled, *widths)), bias, strict=True)
        )
        own = original_dropout if head == "original" else 0.0
        self.dropout = nn.Dropout(own if dropout is None else dropout)
        self.classifier = nn.Linear(self.feature_dim, num_classes)

    def embed(self, points: Tensor) -> Tensor:
        """Map checked points (B, N, channels) to pooled descriptors (B, P)."""
        raise NotImplementedError

    def encode(self, points: Tensor) -> Tensor:
        """Map clouds to global features.

        Args:
            points: (B, N, channels) floating point, N at least `min_points`.

        Returns:
            (B, feature_dim).

        Raises:
            ValueError: wrong number of dimensions, channels or points.
            TypeError: not floating point.
        """
        self._check(points)
        features = self.embed(points)  # (B, P)
        for position, layer in enumerate(self.hidden):
            features = layer(self.dropout(features) if position else features)  # (B, width)
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Map global features (B, feature_dim) to logits (B, C)."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits

    def forward(self, points: Tensor) -> Tensor:
        """Map clouds (B, N, channels) to logits (B, C)."""
        return self.classify(self.encode(points))

    def _check(self, points: Tensor) -> None:
        name = type(self).__name__
        if points.ndim != 3 or points.shape[2] != self.channels:
            raise ValueError(
                f"points must be (B, N, {self.channels}) for this {name}, got {tuple(points.shape)}"
            )
        if points.shape[1] < self.min_points:
            raise ValueError(
                f"points must hold at least {self.min_points} points a cloud for this {name}, "
                f"got {points.shape[1]}"
            )
        if not points.is_floating_point():
            raise TypeError(f"points must be floating point, got {points.dtype}")
