"""The cells of a text file's rows."""

import csv
import re

from pointcmt.errors import InputError

COMMENTS = (b"#", b"//")
NUMBER = re.compile(
    rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:(?:e|d(?=[-+]))[-+]?\d+)?$|[-+]?(?:nan|inf(?:inity)?)$", re.I
)
FORTRAN = re.compile(rb"d(?=[-+]\d)", re.I)  # begins an exponent of its double precision
DECIMAL_COMMA = re.compile(rb"[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?$")
WORD = re.compile(rb'"([^"]*)"|([^\s"]+)')


def is_number(word: bytes) -> bool:
    """Tell whether a word is a number, be its decimal mark a point or a comma."""
    return bool(NUMBER.match(word) or DECIMAL_COMMA.match(word))


def number(word: bytes) -> float:
    """Return the value of a word; see `is_number`.

    Raises:
        ValueError: it is none.
    """
    try:
        return float(word if b"." in word else word.replace(b",", b".", 1))
    except ValueError:
        return float(FORTRAN.sub(b"e", word))


def uncommented(line: bytes) -> bytes:
    """Return a line without its comment."""
    for mark in COMMENTS:
        line = line.partition(mark)[0]
    return line


def cells(line: bytes, separator: bytes | None) -> list[bytes]:
    """Split a line without its comment; what quotes enclose is one cell, and they are dropped."""
    line = uncommented(line)
    if separator == b"\t":  # which stands at the end of a line for an empty cell
        return split(line.rstrip(b",; "), separator)
    line = line.strip()
    if separator != b";":
        line = line.rstrip(b";" if separator else b",;").rstrip()
    return split(line, separator)


def split(line: bytes, separator: bytes | None) -> list[bytes]:
    """Split a line at its separators, or at runs of blanks, but within quotes."""
    if separator is None:
        if b'"' not in line:
            return line.split()
        return [quoted or bare for quoted, bare in WORD.findall(line)]
    if b'"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    try:
        row = csv.reader(
            [line.decode("latin-1")], delimiter=separator.decode(), skipinitialspace=True
        )
        return [cell.strip().encode("latin-1") for cell in next(row)]
    except csv.Error as error:
        raise InputError(f"a cell in quotes does not end ({error})") from error


def trimmed(row: list[bytes], width: int) -> list[bytes]:
    """Return a row without the empty cells at its end that are beyond `width`."""
    end = len(row)
    while end > width and not row[end - 1]:
        end -= 1
    return row[:end]
