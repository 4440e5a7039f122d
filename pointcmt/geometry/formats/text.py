"""Text files of points (.xyz .txt .csv .pts .asc): one row of numbers a line."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.names import (
    KNOWN,
    XYZ,
    guess,
    require_rows_are_points,
    scale_colors,
    table,
)
from pointcmt.geometry.formats.source import MAX_BYTES, Parsed, Source, truncated
from pointcmt.geometry.formats.text_cells import cells, is_number, number, trimmed
from pointcmt.geometry.formats.text_layout import Layout, layout_of
from pointcmt.geometry.formats.tokens import lines_of

MISSING = (b"", b"NA", b"NULL")  # a value that is not there, as tables, R and SQL write it
FEWEST_COUNTED = 10  # rows: the x of fewer points may count up by chance


def read_text(source: Source) -> Parsed:
    """Read rows of numbers, the columns named by a header line, or by their values (see `guess`).

    Values are separated by runs of blanks, or each by one tab, comma or semicolon; quotes enclose a
    value, and one beyond x, y and z may be missing. A byte-order mark, blank lines, comments (`#`,
    `//`), one line of names and one line with the number of points are understood; so are decimal
    commas in quotes or between other separators, and a first column that only names or counts the
    rows.
    """
    rows, names = _rows(source.raw)
    if rows.shape[1] < 3:
        raise InputError(f"its rows have {rows.shape[1]} values; x y z were expected")
    meant = rows.shape[1] > 3 or not KNOWN.isdisjoint(names)  # not a title of three words
    if names and not set(XYZ) <= set(names) and meant:
        raise InputError(f"its header names {', '.join(names[:8])}, but not x, y and z")
    if not set(XYZ) <= set(names):
        require_rows_are_points(rows.shape)
        rows = rows[:, 1:] if _are_counted(rows) else rows
        names = guess(rows, intensity_first=source.path.suffix.lower() == ".pts")
    return Parsed(scale_colors(table(rows, names)))


def _are_counted(rows: NDArray[np.float64]) -> bool:
    """Tell whether the first column counts the rows, as lists of nodes or surveyed points do."""
    if len(rows) < FEWEST_COUNTED or rows.shape[1] <= len(XYZ):
        return False
    places = rows[:, 1 : 1 + len(XYZ)]
    counts = rows[0, 0] in (0, 1) and bool((np.diff(rows[:, 0]) == 1).all())
    return counts and bool((places != np.round(places)).any())


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
    layout = layout_of(lines)
    rows = _fast(lines, layout)
    if rows is None:
        rows = _careful(lines, layout)
    if layout.announced is not None and len(rows) < layout.announced:
        raise truncated(len(rows), layout.announced, "points")
    if layout.announced is not None and len(rows) > layout.announced:
        raise InputError(f"{len(rows)} points, but the line above them counts {layout.announced}")
    return rows, layout.names


def _fast(lines: Sequence[bytes], layout: Layout) -> NDArray[np.float64] | None:
    """Parse with numpy, or None where it finds anything unusual."""
    text = b"\n".join(lines[layout.first :])
    mark = layout.separator.decode() if layout.separator else None
    if layout.row_names or b'"' in text:
        return None
    if mark != ",":
        text = text.replace(b",", b".")  # decimal commas
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # numpy's sign of an empty file
        try:
            stream = io.StringIO(text.decode("latin-1"))
            return np.loadtxt(stream, delimiter=mark, dtype=np.float64, ndmin=2)
        except (ValueError, UserWarning):
            return None


def _careful(lines: Sequence[bytes], layout: Layout) -> NDArray[np.float64]:
    """Parse line by line: comments within, marks at the end, columns of words beside numbers."""
    rows: list[list[bytes]] = []
    numeric: list[int] = []
    values: list[list[float]] = []
    for place, line in enumerate(lines[layout.first :], start=layout.first + 1):
        words = _words(line, layout)
        if not words:
            continue
        if not rows:
            numeric = _numeric(words, layout.names)
        rows[:1] = rows[:1] or [words]
        if len(words) != len(rows[0]):
            raise InputError(
                f"line {place}: {len(words)} values, but the first row has {len(rows[0])}; "
                "every row needs the same number"
            )
        values.append(_row(words, numeric, layout.names, place))
    table = np.full((len(values), len(rows[0])), np.nan)
    table[:, numeric] = values
    return table


def _numeric(words: Sequence[bytes], names: Sequence[str]) -> list[int]:
    """Return the places of the columns that must be numbers: named ones may be words, but x y z."""
    if len(names) != len(words) or (len(words) == len(XYZ) and not set(XYZ) <= set(names)):
        return list(range(len(words)))
    return [i for i, word in enumerate(words) if is_number(word) or names[i] in XYZ]


def _words(line: bytes, layout: Layout) -> list[bytes]:
    words = cells(line, layout.separator)[layout.row_names :]
    width = len(layout.names) if any(words) else 0  # an empty cell below a name is a missing value
    return trimmed(words, width)


def _row(words: list[bytes], numeric: list[int], names: Sequence[str], place: int) -> list[float]:
    try:
        return [number(words[i]) for i in numeric]
    except ValueError:
        pass
    further = [i for i in numeric if (names[i] not in XYZ if names else i >= len(XYZ))]
    missing = [i for i in further if words[i] in MISSING]
    try:
        return [np.nan if i in missing else number(words[i]) for i in numeric]
    except ValueError as error:
        raise InputError(
            f"line {place}: not all values are numbers; x y z were expected"
        ) from error
