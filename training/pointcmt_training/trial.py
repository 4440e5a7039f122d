"""One forward and backward pass of a network, before anything is trained for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from pointcmt.errors import InputError
from pointcmt.models.student import Student


def require_running(student: Student, name: str, points: Tensor) -> None:
    """Run a student that is thrown away; its weights and running statistics change.

    Args:
        student: to be moved to the device of `points`.
        name: of the student, for the message.
        points: (B, N, C) float32.

    Raises:
        InputError: it cannot be run, its features or logits have a wrong shape or precision, or
            one of the user's own gives other logits whole than in two steps.
    """
    with _refusing(f"student {name!r}"):
        found = _given(student, points)
    rows = len(points)
    features, logits = (rows, student.feature_dim), (rows, student.num_classes)
    right = {"encode": features, "classify": logits, "forward": logits}
    for method, shape in right.items():
        for given, wanted in zip(found[method], (shape, _precision(points)), strict=True):
            if given != wanted:
                raise InputError(
                    f"student {name!r}: cannot be run ({method} gives {given}, not {wanted})"
                )
    if ":" in name and not _is_whole(student, points):  # ours are
        raise InputError(
            f"student {name!r}: forward(points) gives other logits than classify(encode(points)), "
            "which is what is trained"
        )


def require_segmenting(segmenter: nn.Module, name: str, points: Tensor) -> None:
    """Run a part segmenter that is thrown away; its weights and running statistics change.

    Args:
        segmenter: to be moved to the device of `points`.
        name: of the segmenter, for the message.
        points: (B, N, channels) float32.

    Raises:
        InputError: it cannot be run.
    """
    with _refusing(f"segmenter {name!r}"):
        segmenter.to(points.device).train()
        segmenter(points).sum().backward()


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever layers raise for options that make no sense
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{what}: cannot be run ({reason})") from error


def _given(student: Student, points: Tensor) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and precision of what each method gives."""
    points = points.clone()  # which a student may change in place
    cast(nn.Module, student).to(points.device).train()
    features = student.encode(points)
    logits = student.classify(features)
    logits.sum().backward()  # type: ignore[no-untyped-call]
    student.eval()
    with torch.no_grad():
        whole = student(points.clone())
    given = {"encode": features, "classify": logits, "forward": whole}
    return {method: (tuple(one.shape), _precision(one)) for method, one in given.items()}


@torch.no_grad()
def _is_whole(student: Student, points: Tensor) -> bool:
    """Tell whether a student's steps give its logits, where they are the same each time."""
    whole, again = (student(points.clone()) for _ in range(2))
    steps = student.classify(student.encode(points.clone()))
    reach = 1e-3 * max(1.0, float(whole.abs().max()))
    return not torch.equal(whole, again) or bool((whole - steps).abs().max() <= reach)


def _precision(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
