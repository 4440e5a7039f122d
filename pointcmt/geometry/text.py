"""Text files of points: one row of numbers a line, split by commas, semicolons or blanks."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

SEPARATORS = bytes.maketrans(b",;\t\r", b"    ")
COMMENTS = (b"#", b"//")


def read_rows(path: Path, dtype: str = "f8") -> NDArray[np.floating]:
    """Read a text file of numbers as (rows, columns).

    Blank lines and lines that start with `#` or `//` are skipped; every other line must hold the
    same number of values as the first.

    Raises:
        InputError: the file is missing or empty, or a line is short, long or not numbers; the
            message names the file and the line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    values = _fast(raw)
    return (_careful(raw, path) if values is None else values).astype(dtype, copy=False)


def _fast(raw: bytes) -> NDArray[np.float64] | None:
    """Parse a file without comments whose lines all have as many values as the first, or None."""
    lines = raw.translate(SEPARATORS).split(b"\n")
    if lines and not lines[-1].strip():
        lines.pop()
    columns = len(lines[0].split()) if lines else 0
    if columns == 0 or any(line.count(b" ") != columns - 1 for line in lines):
        return None  # short rows, comments and doubled blanks: the careful reader judges them
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's sign of unparsed text
        try:
            flat = np.fromstring(b" ".join(lines).decode("ascii"), dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return flat.reshape(-1, columns) if flat.size == len(lines) * columns else None


def _careful(raw: bytes, path: Path) -> NDArray[np.float64]:
    rows: list[list[float]] = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
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
