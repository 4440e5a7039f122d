"""What a method is: options that a recipe gives, and losses beside the cross-entropy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from pointcmt_training.section import Section


@dataclass(frozen=True)
class Images:
    """What stage III learns from; frozen, in evaluation mode.

    Attributes:
        classifier: the teacher's, (B, D) -> (B, C).
        generator: the CMPG, (B, D) -> (B, N, 3); None where the teacher is an earlier student.
        features: (n, D) teacher features of the labelled clouds, then of the unlabelled ones.
    """

    classifier: Callable[[Tensor], Tensor]
    generator: nn.Module | None
    features: Tensor

    @property
    def decoder(self) -> nn.Module:
        """The generator, where there must be one."""
        if self.generator is None:
            raise TypeError("this method needs a generator")
        return self.generator


@dataclass(frozen=True)
class Batch:
    """One step of stage III: B labelled clouds, then U unlabelled ones.

    Attributes:
        features: F_pts (B + U, D).
        logits: Cls_pts(F_pts) (B + U, C), as the cross-entropy reads them.
        image_features: F_img (B + U, D), constant.
        labels: (B,) int64.
        classifier: the student's own classifier, (B, D) -> (B, C), read without its dropout.
        cross_entropy: that of the labelled clouds, a scalar.
        label_smoothing: of that cross-entropy.
        progress: part of the training that is done after this epoch, in (0, 1].
    """

    features: Tensor
    logits: Tensor
    image_features: Tensor
    labels: Tensor
    classifier: Callable[[Tensor], Tensor]
    cross_entropy: Tensor
    label_smoothing: float = 0.0
    progress: float = 1.0


class Loss(nn.Module):
    """Maps a `Batch` to weighted losses by name.

    What a method learns beside the student, a connector say, are its own parameters; the frozen
    networks in `images` are not.
    """

    def __init__(self, images: Images) -> None:
        super().__init__()
        self.images = images

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted losses by name, scalars."""
        raise TypeError(f"{type(self).__name__} must define forward")


@dataclass(frozen=True)
class Method(Section):
    """A method's options, frozen; its fields are the keys of the recipe's `distillation:`.

    Attributes:
        uses_images: whether stages I and II are needed.
    """

    uses_images: ClassVar[bool] = True

    def loss(self, images: Images) -> Loss:
        """Return the method's losses, with parameters of their own where it has any."""
        raise TypeError(f"{type(self).__name__} must define loss")
