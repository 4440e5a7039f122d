"""How the rows of a text file are written: told by its first lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import XYZ, channels, plain
from pointcmt.geometry.formats.text_cells import (
    COMMENTS,
    DECIMAL_COMMA,
    cells,
    is_number,
    split,
    trimmed,
    uncommented,
)

QUOTED = re.compile(rb'"[^"]*"')
NOT_TABBED = re.compile(rb"\d +[-+.]?\d|[,;] *\t")  # what else stands between cells beside tabs
UNIT = re.compile(rb"\s{1,4}(\[[^]]{,20}\]|\([^)]{,20}\))")  # belongs to the name before it
EXCELS = re.compile(rb"sep=.?$", re.I)  # its own first line, which names the separator
SAMPLE = 1000  # rows that tell how all are written


@dataclass(frozen=True)
class Layout:
    """How the rows are written.

    Attributes:
        first: the place of the first row among the lines.
        separator: what stands between cells; None for runs of blanks.
        names: the columns' names; empty if none are given.
        row_names: whether a column before these only names the rows.
        announced: how many rows a line above them counts, if one does.
    """

    first: int
    separator: bytes | None
    names: tuple[str, ...]
    row_names: bool
    announced: int | None


def layout_of(lines: Sequence[bytes]) -> Layout:
    """Tell how rows are written.

    Raises:
        InputError: there are none, commas stand both between and within numbers, or a line of
            names names other columns than the rows have.
    """
    header, announced = b"", None
    comments: list[bytes] = []
    for place, line in enumerate(lines):
        bare = line.strip()
        if bare.startswith(COMMENTS):
            comments.append(bare.lstrip(b"#/"))
        elif not bare or (EXCELS.match(bare) and not header):
            continue
        elif bare.isdigit() and announced is None and _is_wider(lines, place + 1):
            announced = int(bare[:18])
        elif not header and _is_header(bare, lines[place + 1 : place + 2]):
            header = line.rstrip()
        else:
            sample = [row for row in lines[place : place + SAMPLE] if row.strip()]
            separator = _separator(list(map(uncommented, sample)))
            names, row_names = _names(header, comments, separator, sample)
            return Layout(place, separator, names, row_names, announced)
    raise InputError("it has no rows of numbers; lines of x y z were expected")


def _is_wider(lines: Sequence[bytes], place: int) -> bool:
    """Tell whether the next row has several values, so that a number above it is a count."""
    row = next((line for line in lines[place : place + SAMPLE] if line.strip()), b"")
    return len(re.split(rb"[\s,;]+", row.strip())) > 1


def _is_header(line: bytes, below: Sequence[bytes]) -> bool:
    """Tell whether a line names columns, be it by their places, as in `0,1,2` or `,0,1,2`."""
    words = re.split(rb"[\s,;]+", line.replace(b'"', b""))
    return not any(map(is_number, words)) or (_are_places(words) and b"." in b"".join(below))


def _are_places(words: Sequence[bytes]) -> bool:
    counted = list(words[1:] if words[:1] == [b""] else words)
    return len(counted) >= len(XYZ) and counted == [b"%d" % i for i in range(len(counted))]


def _separator(rows: Sequence[bytes]) -> bytes | None:
    """Return the mark between cells; a comma within numbers is none."""
    cut = (QUOTED.sub(b'""', row).strip().rstrip(b",;") for row in rows)
    bare = [row for row in cut if row]
    text = b"\n".join(bare)
    if bare and all(row.count(b"\t") > 1 and not NOT_TABBED.search(row) for row in bare):
        return b"\t"
    if b";" in text:
        return b";"
    if b"," not in text or _are_decimal([row.split() for row in bare]):
        return None
    if b"." not in text and re.search(rb",0\d", text):  # 0,413416,1,065630: no whole numbers
        raise InputError(
            "commas stand both between and within its numbers; write decimal points, or put "
            "semicolons between the numbers"
        )
    return b","


def _are_decimal(rows: Sequence[Sequence[bytes]]) -> bool:
    """Tell whether rows are words of which three in a place are numbers like `0,5`."""
    width = min(map(len, rows), default=0)
    alike = [all(DECIMAL_COMMA.match(row[i]) for row in rows) for i in range(width)]
    return sum(alike) >= len(XYZ)


def _names(
    header: bytes, comments: Sequence[bytes], separator: bytes | None, sample: Sequence[bytes]
) -> tuple[tuple[str, ...], bool]:
    """Return the columns' names, and whether a column before them only names the rows."""
    first = cells(sample[0], separator)
    if header:
        names = _named(header, separator)
        width = len(trimmed(first, len(names)))
        if _are_places([name.encode() for name in names]):
            return (), not names[0]
        if len(names) == width or not set(XYZ) <= set(names):
            return (names if len(names) == width else ()), False
        behind = header.startswith(b"\t") and not sample[0].startswith(b"\t")
        if width == len(names) + 1 and (behind or _name_rows(sample, separator)):
            return names, True
        if names[: len(XYZ)] == XYZ:
            return (), False
        raise InputError(f"its header names {len(names)} columns, but its rows have {width}")
    for comment in reversed(comments):
        names = _named(comment, separator)
        if set(XYZ) <= set(names) and len(names) == len(trimmed(first, len(names))):
            return names, False
    return (), False


def _named(line: bytes, separator: bytes | None) -> tuple[str, ...]:
    known = [separator] if separator and separator in line else []
    marks = (*known, *(mark for mark in (b",", b";", b"\t") if mark in line), None)
    words = split(UNIT.sub(rb"\1", line), marks[0])
    return channels([plain(cell.decode("utf-8", "replace")) for cell in words])


def _name_rows(sample: Sequence[bytes], separator: bytes | None) -> bool:
    """Tell whether the first cells are names or the numbers of rows, as R and pandas write them.

    Rows that were chosen or sorted have numbers in any order: whole ones, each another, beside
    coordinates that are not whole.
    """
    if all(row.lstrip().startswith(b'"') for row in sample):
        return True
    rows = [cells(row, separator) or [b""] for row in sample]
    first = [row[0] for row in rows]
    if all(cell.isdigit() and len(cell) < 18 for cell in first):
        places = [cell.lstrip(b"+-") for row in rows for cell in row[1 : 1 + len(XYZ)]]
        whole = all(map(bytes.isdigit, places))
        apart = len(set(first)) == len(first) and not whole
        return apart or all(int(two) - int(one) == 1 for one, two in pairwise(first))
    return not any(map(is_number, first))
