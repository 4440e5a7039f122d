"""The losses of stage III: PointCMT's two enhancements and the losses it is compared with.

Every loss is a scalar, averaged over the batch unless said. Teacher features are constants: the
caller passes them detached.
"""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from pointcmt.ops import earth_movers_distance

Reduction = Literal["batchmean", "sum"]


def unit_box(points: Tensor) -> Tensor:
    """Centre each cloud's bounding box on the origin and scale its longest side to 1.

    The released code shifts by a wrong amount and keeps half of any translation; here a cloud's
    translation and size vanish completely. A cloud of no extent becomes all zeros.

    Args:
        points: (B, N, 3).
    """
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
    decoded = unit_box(generator(student))  # (B, N, 3)
    target = unit_box(generator(teacher)).detach()  # (B, N, 3)
    return earth_movers_distance(decoded, target, reduction="mean").mean()


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
    return _divergence(classifier(teacher), student_logits, reduction)


def hinton(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 4.0) -> Tensor:
    """Hinton et al.'s distillation, KL of softened logits times T squared (Eq. 6 at T = 1).

    Args:
        student_logits: (B, C).
        teacher_logits: (B, C), constant.
        temperature: T > 0.
    """
    soft = _divergence(teacher_logits / temperature, student_logits / temperature, "batchmean")
    return soft * temperature**2


def feature_mse_normalize1(student: Tensor, teacher: Tensor) -> Tensor:
    """MSE to teacher features given the student's batch mean and std (Eqs. 11, 13).

    Args:
        student: (B, D), B at least 2.
        teacher: (B, D), constant.
    """
    mean, std = student.detach().mean(dim=0), student.detach().std(dim=0)  # (D,)
    scaled = (teacher - teacher.mean(dim=0)) / teacher.std(dim=0).clamp_min(1e-8)
    return F.mse_loss(student, scaled * std + mean)


def feature_mse_normalize2(student: Tensor, teacher: Tensor) -> Tensor:
    """MSE to teacher features scaled to the student's mean norm (Eqs. 12, 13).

    Args:
        student: (B, D).
        teacher: (B, D), constant.
    """
    norm = teacher.norm(dim=1).mean().clamp_min(1e-8)
    return F.mse_loss(student, teacher * (student.detach().norm(dim=1).mean() / norm))


def softmax_regression(teacher_classifier: nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
    """Yang et al.'s softmax regression representation: match features and the teacher's own logits.

    The student's feature goes through the frozen teacher classifier and must give the teacher's
    logits; both terms are mean squared errors (SRRL, ICLR 2021, Eqs. 2 and 6).

    Args:
        teacher_classifier: frozen, (B, D) -> (B, C).
        student: (B, D), already mapped into the teacher's space.
        teacher: (B, D), constant.
    """
    features = F.mse_loss(student, teacher)
    return features + F.mse_loss(teacher_classifier(student), teacher_classifier(teacher))


def factor_distance(one: Tensor, other: Tensor) -> Tensor:
    """L1 distance of factors that are scaled to unit length, the measure of Huang et al. (IE-KD).

    The inherited half of a student's feature minimises it and the explored half maximises it.

    Args:
        one: (B, D).
        other: (B, D).
    """
    return (F.normalize(one, dim=1) - F.normalize(other, dim=1)).abs().sum(dim=1).mean()


def _divergence(target: Tensor, source: Tensor, reduction: Reduction) -> Tensor:
    """KL(softmax(target) || softmax(source)) of logits (B, C)."""
    return F.kl_div(
        F.log_softmax(source, dim=1),
        F.log_softmax(target, dim=1),
        reduction=reduction,
        log_target=True,
    )
