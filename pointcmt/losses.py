"""PointCMT's two losses, feature and classifier enhancement (Section 3.4).

A loss is a scalar, averaged over the batch unless said. Teacher features are constants: the caller
passes them detached.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt import ranks
from pointcmt.ops import earth_movers_distance

Reduction = Literal["batchmean", "sum"]


def unit_box(points: Tensor) -> Tensor:
    """Centre each cloud's bounding box on the origin and scale its longest side to 1.

    The released code shifts by a wrong amount and keeps half of any translation; here a cloud's
    translation and size vanish completely. A cloud of no extent becomes all zeros. Half precision
    is computed in float32, in which the smallest size is no zero.

    Args:
        points: (B, N, 3).
    """
    points = points.to(torch.promote_types(points.dtype, torch.float32))
    low, high = points.amin(dim=1, keepdim=True), points.amax(dim=1, keepdim=True)  # (B, 1, 3)
    size = (high - low).amax(dim=2, keepdim=True).clamp_min(1e-8)  # (B, 1, 1)
    return (points - (low + high) / 2) / size


def feature_enhancement(generator: nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
    """Earth mover's distance between what the generator decodes from both features (Eq. 5).

    Both decoded clouds are brought into a unit box first, as the released code intends; the
    distance is the mean over the points of the Euclidean distance under the optimal bijection.

    Args:
        generator: the frozen CMPG, (B, D) -> (B, N, 3), in evaluation mode.
        student: (B, D) point features, which receive the gradient.
        teacher: (B, D) image features, constant.
    """

    def distance(student: Tensor, teacher: Tensor) -> Tensor:
        decoded = unit_box(generator(student))  # (B, N, 3)
        target = unit_box(generator(teacher)).detach()  # (B, N, 3)
        return earth_movers_distance(decoded, target, reduction="mean")  # (B,)

    return ranks.shared(distance, student, teacher).mean()


def classifier_enhancement(
    classifier: Callable[[Tensor], Tensor],
    student_logits: Tensor,
    teacher: Tensor,
    reduction: Reduction = "sum",
) -> Tensor:
    """KL(Cls_pts(F_img) || Cls_pts(F_pts)), both from the student's own classifier (Eq. 7).

    The image branch trains the classifier only, because its features are constant.

    Args:
        classifier: the student's classifier, (B, D) -> (B, C).
        student_logits: (B, C), the classifier's answer to the point features.
        teacher: (B, D) image features, constant.
        reduction: "sum" over the batch, as released (weight 0.3 at batch 32 equals 9.6 of a
            batch mean), or "batchmean".
    """
    return divergence(classifier(teacher), student_logits, reduction)


def divergence(target: Tensor, source: Tensor, reduction: Reduction) -> Tensor:
    """KL(softmax(target) || softmax(source)) of logits (B, C), a sum or mean over the batch."""
    return F.kl_div(
        F.log_softmax(source, dim=1),
        F.log_softmax(target, dim=1),
        reduction=reduction,
        log_target=True,
    )
