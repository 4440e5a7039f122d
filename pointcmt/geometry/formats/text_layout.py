"""How the rows of a text file are written: told by its first lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import XYZ, channel

COMMENTS = (b"#", b"//")
NUMBER = re.compile(
    rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$|[-+]?(?:nan|inf(?:inity)?)$", re.I
)
DECIMAL_COMMA = re.compile(rb"[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?$")
HEAD_LINES = 100  # above the first row


@dataclass(frozen=True)
class Layout:
    """How the rows are written.

    Attributes:
        first: the place of the first row among the lines.
        separator: what stands between values; None for blanks.
        decimal_comma: whether numbers are written like `0,5`.
        names: the columns' names; empty if none are given.
        announced: how many rows a line above them counts, if one does.
    """

    first: int
    separator: bytes | None
    decimal_comma: bool
    names: tuple[str, ...]
    announced: int | None


def layout_of(lines: Sequence[bytes]) -> Layout:
    """Tell how rows are written.

    Raises:
        InputError: there are none, or commas stand both between and within numbers.
    """
    names: tuple[str, ...] = ()
    comment, announced = b"", None
    for place, line in enumerate(lines[:HEAD_LINES]):
        bare = line.strip()
        if not bare or bare.startswith(COMMENTS):
            comment = bare or comment
            continue
        words = re.split(rb"[\s,;]+", bare.replace(b'"', b""))
        if bare.isdigit() and announced is None and _wider(lines[place + 1 :]):
            announced = int(bare[:18])
        elif not names and (
            not any(map(is_number, words)) or _are_places(words, lines[place + 1 :])
        ):
            names = _names(bare)
        else:
            separator, decimal_comma = _separator(lines, place)
            above = _names(comment.lstrip(b"#/"))
            names = names or (above if set(XYZ) <= set(above) else ())
            return Layout(place, separator, decimal_comma, names, announced)
    raise InputError("it has no rows of numbers; lines of x y z were expected")


def _wider(lines: Sequence[bytes]) -> bool:
    """Tell whether the next row has several values, so that a number above it is a count."""
    row = next((line for line in lines[:HEAD_LINES] if line.strip()), b"")
    return len(re.split(rb"[\s,;]+", row.strip())) > 1


def _are_places(words: list[bytes], lines: Sequence[bytes]) -> bool:
    """Tell whether a line is `0,1,2`, as tables without names of columns are headed."""
    places = [b"%d" % i for i in range(len(words))]
    return len(words) >= 3 and words == places and b"." in b"".join(lines[:1])


def _names(line: bytes) -> tuple[str, ...]:
    text = line.strip().decode("utf-8", "replace")
    mark = next((mark for mark in ",;\t" if mark in text), None)
    return tuple(channel(word) for word in text.split(mark))


def is_number(word: bytes) -> bool:
    """Tell whether a word is a number, be its decimal mark a point or a comma."""
    return bool(NUMBER.match(word) or DECIMAL_COMMA.match(word))


def _separator(lines: Sequence[bytes], first: int) -> tuple[bytes | None, bool]:
    """Return the mark between values, and whether a comma is the decimal mark."""
    sample = [line.partition(b"#")[0] for line in lines[first : first + 1000]]
    text = b"\n".join(sample)
    if b"," not in text:
        return (b";" if b";" in text else None), False
    mark = b";" if b";" in text else None
    words = [word.strip().strip(b'"') for line in sample for word in line.split(mark)]
    words = [word for word in words if word]
    if (
        b"." not in text
        and all(map(DECIMAL_COMMA.match, words))
        and (mark or len(words) > len(sample))
    ):
        return mark, True
    if b"." not in text and re.search(rb",0\d", text):  # 0,413416,1,065630: no whole numbers
        raise InputError(
            "commas stand both between and within its numbers; write decimal points, or put "
            "semicolons between the numbers"
        )
    return (None if mark else b","), False
