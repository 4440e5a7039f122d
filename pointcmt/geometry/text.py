"""Text files of points: one row of numbers a line, split by commas, semicolons or blanks."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

SEPARATORS = bytes.maketrans(b",;\t\r", b"    ")
COMMENTS = (b"#", b"//")
MAX_BYTES = 2 * 1024**3


def read_rows(path: Path) -> NDArray[np.float64]:
    """Read a text file of numbers as (rows, columns).

    Blank lines and lines that start with `#` or `//` are skipped; every other line must hold the
    same number of values as the first.

    Raises:
        InputError: the file is missing, empty or larger than 2 GiB, or a line is short, long or
            not numbers; the message names the file and the line.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size} bytes; a text file may have {MAX_BYTES}")
        rows = _fast(path)
        return _careful(path) if rows is None else rows
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _fast(path: Path) -> NDArray[np.float64] | None:
    """Parse with numpy, or None where it finds anything unusual."""
    with path.open("rb") as file:
        first = file.readline(10_000)
    delimiter = next((mark for mark in ",;" if mark.encode() in first), None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # numpy's sign of an empty file
        try:
            return np.loadtxt(path, delimiter=delimiter, dtype=np.float64, ndmin=2)
        except (ValueError, UserWarning):
            return None


def _careful(path: Path) -> NDArray[np.float64]:
    rows: list[list[float]] = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        words = line.translate(SEPARATORS).split()
        if not words or words[0].startswith(COMMENTS):
            continue
        rows.append(_row(words, f"{path}, line {number}"))
        if len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"{path}, line {number}: {len(rows[-1])} values, but the first row has "
                f"{len(rows[0])}; every row needs the same number"
            )
    if not rows:
        raise InputError(f"{path}: has no rows of numbers; lines of x y z were expected")
    return np.array(rows, dtype=np.float64)


def _row(words: list[bytes], where: str) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"{where}: not all values are numbers; x y z were expected") from error
