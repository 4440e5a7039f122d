"""Parts of objects: every class has parts of its own, numbered through all classes."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from pointcmt.errors import InputError

Parts = Mapping[str, Sequence[str]]
"""The names of each class's parts. The first class has the labels 0, 1, ..., the next goes on."""


def part_ranges(counts: Sequence[int]) -> list[range]:
    """Return the labels of each class's parts, given how many each has."""
    return [range(start, end) for start, end in pairwise(accumulate(counts, initial=0))]


def part_counts(parts: Parts) -> tuple[int, ...]:
    """Return how many parts each class has."""
    return tuple(len(names) for names in parts.values())


def part_labels(parts: Parts) -> dict[str, dict[str, int]]:
    """Return the label of every part, by class and name."""
    ranges = part_ranges(part_counts(parts))
    return {
        name: dict(zip(names, labels, strict=True))
        for (name, names), labels in zip(parts.items(), ranges, strict=True)
    }


def class_channels(classes: Sequence[str]) -> tuple[str, ...]:
    """Return names for the channels that tell a segmenter the class: 1 for its own, else 0."""
    return tuple(f"is {name}" for name in classes)


def require_parts(value: Any, classes: Sequence[str], where: str) -> None:
    """Check what a model states of its parts: nothing, or different names for each class.

    Raises:
        InputError: it is anything else; the message begins with `where`.
    """
    fits = isinstance(value, Mapping) and all(map(_are_names, value.values()))
    if not fits or (value and tuple(value) != tuple(classes)):
        raise InputError(f"{where} are not one or more different names for each class in order")


def _are_names(names: Any) -> bool:
    listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return listed and 0 < len(names) == len(set(names)) and all(name.strip() for name in names)
