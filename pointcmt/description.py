"""What a model says of itself, checked at one door for model folders and exported files."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pointcmt.channels import require_channels, require_vertical
from pointcmt.errors import InputError
from pointcmt.geometry import NORMALIZATIONS
from pointcmt.parts import class_channels, require_parts

MOST_POINTS = 1_000_000  # of a cloud when it enters a network
LONGEST = 60  # characters of a wrong value that an error shows


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(map(_is_name, value))


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MOST_POINTS


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "student": (_is_name, "a name"),
    "classes": (_are_names, "a list of names"),
    "points": (_is_count, f"a whole number from 1 to {MOST_POINTS:,}"),
    "normalization": (lambda value: value in NORMALIZATIONS, f"one of {', '.join(NORMALIZATIONS)}"),
    "provenance": (lambda value: isinstance(value, Mapping), "an object"),
}


def check_description(stated: Mapping[str, Any], where: str) -> None:
    """Check what a model states of itself.

    Args:
        stated: student, classes, points, normalization, provenance, channels, up and parts, as JSON
            holds them.
        where: what an error begins with, up to the entry's name.

    Raises:
        InputError: an entry is missing, of the wrong type or out of range, or no text can hold it.
    """
    for key, (fits, wanted) in CHECKS.items():
        if key not in stated:
            raise InputError(f"{where}{key} is missing")
        if not fits(stated[key]):
            raise InputError(f"{where}{key} is {_short(stated[key])}, not {wanted}")
    require_channels(stated["channels"], f"{where}channels")
    require_vertical(stated["up"], f"{where}up")
    require_parts(stated["parts"], stated["classes"], f"{where}parts")
    told = class_channels(stated["classes"])
    if stated["parts"] and tuple(stated["channels"])[-len(told) :] != told:
        raise InputError(f"{where}channels do not end in those of the class: {', '.join(told)}")
    for key, value in stated.items():
        require_text(value, f"{where}{key}")


def require_text(value: Any, where: str) -> None:
    """Check that JSON in UTF-8 can hold a value.

    Raises:
        InputError: it cannot, for an unknown type, a lone surrogate or too deep a nesting.
    """
    try:
        json.dumps(value, ensure_ascii=False, default=dict).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{where} cannot be written as text ({type(error).__name__})") from error


def parse_json(text: str, where: str) -> Any:
    """Parse JSON.

    Raises:
        InputError: it is none, or is nested too deeply; the message begins with `where`.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON") from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
