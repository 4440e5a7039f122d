"""Text files of points (.xyz .txt .csv .pts .asc): one row of numbers a line."""

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import (
    XYZ,
    channel,
    guess,
    require_rows_are_points,
    scale_colors,
    table,
)
from pointcmt.geometry.formats.source import MAX_BYTES, Parsed, Source, truncated
from pointcmt.geometry.formats.tokens import lines_of

COMMENTS = (b"#", b"//")
NUMBER = re.compile(
    rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$|[-+]?(?:nan|inf(?:inity)?)$", re.I
)
DECIMAL_COMMA = re.compile(rb"[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?$")
HEAD_LINES = 100  # above the first row


@dataclass(frozen=True)
class _Layout:
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


def read_text(source: Source) -> Parsed:
    """Read rows of numbers, the columns named by a header line, or by their values (see `guess`).

    Values are separated by blanks, tabs, commas or semicolons. A byte-order mark, blank lines,
    comments (`#`, `//`), one line of names and one line with the number of points are understood;
    so are decimal commas between other separators.
    """
    rows, names = _rows(source.raw)
    if rows.shape[1] < 3:
        raise InputError(f"its rows have {rows.shape[1]} values; x y z were expected")
    if names and not set(XYZ) <= set(names) and rows.shape[1] > 3:
        raise InputError(f"its header names {', '.join(names[:8])}, but not x, y and z")
    if not set(XYZ) <= set(names):
        require_rows_are_points(rows.shape)
        names = guess(rows)
    return Parsed(scale_colors(table(rows, names)))


def read_rows(path: Path) -> NDArray[np.float64]:
    """Read a text file of numbers as (rows, columns).

    Raises:
        InputError: the file is missing, empty or larger than 2 GiB, or a line is short, long or
            not numbers; the message names the file and the line.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: has more than {MAX_BYTES} bytes; a text file may have those")
        return _rows(path.read_bytes())[0]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _rows(raw: bytes) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    lines = lines_of(raw)
    layout = _layout(lines)
    rows = _fast(lines, layout)
    if rows is None:
        rows = _careful(lines, layout)
    if layout.announced is not None and len(rows) < layout.announced:
        raise truncated(len(rows), layout.announced, "points")
    if layout.announced is not None and len(rows) > layout.announced:
        raise InputError(f"{len(rows)} points, but the line above them counts {layout.announced}")
    names = layout.names if len(layout.names) == rows.shape[1] else ()
    return rows, names


def _layout(lines: Sequence[bytes]) -> _Layout:
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
            not any(map(_is_number, words)) or _are_places(words, lines[place + 1 :])
        ):
            names = _names(bare)
        else:
            separator, decimal_comma = _separator(lines, place)
            above = _names(comment.lstrip(b"#/"))
            names = names or (above if set(XYZ) <= set(above) else ())
            return _Layout(place, separator, decimal_comma, names, announced)
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


def _is_number(word: bytes) -> bool:
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


def _fast(lines: Sequence[bytes], layout: _Layout) -> NDArray[np.float64] | None:
    """Parse with numpy, or None where it finds anything unusual."""
    text = b"\n".join(lines[layout.first :])
    if layout.decimal_comma:
        text = text.replace(b",", b".")
    mark = layout.separator.decode() if layout.separator else None
    if mark is None and (b"," in text or b";" in text):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # numpy's sign of an empty file
        try:
            stream = io.StringIO(text.decode("latin-1"))
            return np.loadtxt(stream, delimiter=mark, dtype=np.float64, ndmin=2)
        except (ValueError, UserWarning):
            return None


def _careful(lines: Sequence[bytes], layout: _Layout) -> NDArray[np.float64]:
    """Parse line by line: comments within, marks at the end, columns of words beside numbers."""
    rows: list[list[bytes]] = []
    numeric: list[int] = []
    values: list[list[float]] = []
    for number, line in enumerate(lines[layout.first :], start=layout.first + 1):
        words = _words(line, layout)
        if not words:
            continue
        if not rows:
            numeric = _numeric(words, layout.names)
        rows[:1] = rows[:1] or [words]
        if len(words) != len(rows[0]):
            raise InputError(
                f"line {number}: {len(words)} values, but the first row has {len(rows[0])}; "
                "every row needs the same number"
            )
        values.append(_row(words, numeric, layout.names, number))
    table = np.full((len(values), len(rows[0])), np.nan)
    table[:, numeric] = values
    return table


def _numeric(words: Sequence[bytes], names: Sequence[str]) -> list[int]:
    """Return the places of the columns that must be numbers: named ones may be words, but x y z."""
    if len(names) != len(words) or (len(words) == len(XYZ) and not set(XYZ) <= set(names)):
        return list(range(len(words)))
    return [i for i, word in enumerate(words) if _is_number(word) or names[i] in XYZ]


def _words(line: bytes, layout: _Layout) -> list[bytes]:
    for mark in COMMENTS:
        line = line.partition(mark)[0]
    if layout.decimal_comma:
        line = line.replace(b",", b".")
    if layout.separator is None:
        return line.translate(bytes.maketrans(b',;"', b"   ")).split()
    words = [word.strip().strip(b'"') for word in line.split(layout.separator)]
    width = len(layout.names) if any(words) else 0  # an empty cell below a name is a missing value
    while len(words) > width and not words[-1]:
        words.pop()
    return words


def _row(words: list[bytes], numeric: list[int], names: Sequence[str], number: int) -> list[float]:
    missing = [i for i in numeric if not words[i] and names[i : i + 1] and names[i] not in XYZ]
    try:
        return [np.nan if i in missing else float(words[i]) for i in numeric]
    except ValueError as error:
        raise InputError(
            f"line {number}: not all values are numbers; x y z were expected"
        ) from error
