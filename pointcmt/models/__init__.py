"""The students and part segmenters, a file each, and the tables of their names."""

import difflib
import importlib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from pointcmt.errors import InputError
from pointcmt.models.dgcnn import DGCNN
from pointcmt.models.pointmlp import PointMLP, PointMLPElite
from pointcmt.models.pointnet import PointNet
from pointcmt.models.pointnet2 import PointNet2MSG, PointNet2SSG
from pointcmt.models.pointnet2_parts import PointNet2MSGParts, PointNet2Parts, PointNet2SSGParts
from pointcmt.models.pointnext import PointNeXtS
from pointcmt.models.rscnn import RSCNN
from pointcmt.models.segmenter import Segmenter
from pointcmt.models.student import Network, PointStudent, Student

__all__ = [
    "SEGMENTERS",
    "STUDENTS",
    "Network",
    "Segmenter",
    "Student",
    "create_segmenter",
    "create_student",
]

STUDENTS: dict[str, type[PointStudent]] = {
    "pointnet": PointNet,
    "pointnet2-ssg": PointNet2SSG,
    "pointnet2-msg": PointNet2MSG,
    "dgcnn": DGCNN,
    "rscnn": RSCNN,
    "pointmlp": PointMLP,
    "pointmlp-elite": PointMLPElite,
    "pointnext-s": PointNeXtS,
}
SEGMENTERS: dict[str, type[PointNet2Parts]] = {
    "pointnet2-ssg-parts": PointNet2SSGParts,
    "pointnet2-msg-parts": PointNet2MSGParts,
}


def create_student(name: str, num_classes: int, /, **options: Any) -> Student:
    """Build a student.

    Args:
        name: a key of `STUDENTS`, or "my_package.my_module:MyNet" for a class of your own that
            keeps the `Student` protocol. Only a `torch.nn.Module` class is ever called.
        num_classes: C, the number of logits.
        **options: keyword arguments of the class, such as `feature_dim`, `channels`, `head`.

    Returns:
        A student in training mode with fresh weights.

    Raises:
        InputError: unknown name or option, a value the student refuses, or a class of your own
            that cannot be imported or does not keep the protocol.
    """
    builder: Callable[..., Student] | None
    builder = _own_class(name) if ":" in name else STUDENTS.get(name)
    if builder is None:
        raise InputError(
            f"unknown student {name!r}: use {_nearest(name, STUDENTS)}one of "
            f"{', '.join(STUDENTS)}, or 'module:Class' for your own"
        )
    student = _built(builder, name, num_classes, options)
    if not isinstance(student, Student):
        missing = [part for part in _PROTOCOL if not hasattr(student, part)]
        raise InputError(f"student {name!r} lacks {', '.join(missing)} of the Student protocol")
    _require_protocol(student, name, num_classes)
    return student


def create_segmenter(name: str, num_classes: int, /, **options: Any) -> Segmenter:
    """Build a part segmenter.

    Args:
        name: a key of `SEGMENTERS`.
        num_classes: C, classes of objects.
        **options: keyword arguments of the class; `parts` among them.

    Returns:
        A segmenter in training mode with fresh weights.

    Raises:
        InputError: unknown name or option, or a value the segmenter refuses.
    """
    if name not in SEGMENTERS:
        nearest = _nearest(name, SEGMENTERS)
        raise InputError(f"unknown segmenter {name!r}: use {nearest}one of {', '.join(SEGMENTERS)}")
    return _built(SEGMENTERS[name], name, num_classes, options)


N = TypeVar("N")


def _built(builder: Callable[..., N], name: str, num_classes: int, options: Mapping[str, Any]) -> N:
    if "num_classes" in options:
        raise InputError(f"student {name!r}: num_classes follows from the data, it is no option")
    if ":" not in name and not _is_positive(width := options.get("width", 1.0)):
        raise InputError(f"student {name!r}: width must be a finite number above 0, not {width!r}")
    known = inspect.signature(builder).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        for option in options:
            if option not in known:
                raise InputError(
                    f"student {name!r} has no option {option!r}: use "
                    f"{_nearest(option, known)}one of {', '.join(list(known)[1:])}"
                )
    try:
        return builder(num_classes, **options)
    except Exception as error:  # whatever a constructor raises for its options
        raise InputError(f"student {name!r} cannot be built: {_reason(error)}") from error


def _is_positive(value: object) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and 0 < cast(float, value) < math.inf


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


_PROTOCOL = ("num_classes", "feature_dim", "min_points", "encode", "classify")


def _require_protocol(student: Student, name: str, num_classes: int) -> None:
    """Refuse numbers that training would trip over, and a state that no model folder can hold."""
    for part in ("feature_dim", "min_points"):
        value = getattr(student, part)
        if type(value) is not int or value < 1:
            raise InputError(f"student {name!r}: {part} must be a whole number above 0")
    if student.num_classes != num_classes:
        raise InputError(
            f"student {name!r}: num_classes must be the {num_classes} it was built with, not "
            f"{student.num_classes!r}"
        )
    for key, value in student.state_dict().items():
        if not isinstance(value, Tensor) or is_lazy(value):
            raise InputError(
                f"student {name!r}: {key} of its state_dict must be a tensor of known shape, as "
                "model folders hold nothing else"
            )


def _own_class(name: str) -> Callable[..., Student]:
    module_name, _, class_name = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # whatever the module does when it is imported
        raise InputError(f"student {name!r} cannot be imported: {_reason(error)}") from error
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        raise InputError(f"student {name!r} is not a torch.nn.Module class")
    return cast(Callable[..., Student], found)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"{near[0]!r}, or " if near else ""
