"""Words of text files to numbers."""

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

Number = TypeVar("Number", np.float64, np.int64)
NO_NUMBER = re.compile(rb"(?<![\w.])1\.#(?:INF|IND|[QS]NAN)\d*")
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def lines_of(raw: bytes) -> list[bytes]:
    """Split into lines, whatever ends them and however they are encoded, see `text_of`."""
    return text_of(raw).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")


def text_of(raw: bytes) -> bytes:
    """Return a text as `as_utf8` does, without the NUL bytes that fill up its last block.

    NaN and infinity as Microsoft's C writes them (`1.#QNAN`) become `nan`: their `#` begins no
    comment.
    """
    text = as_utf8(raw).rstrip(b"\0")
    return NO_NUMBER.sub(b"nan", text) if b"1.#" in text else text


def as_utf8(raw: bytes) -> bytes:
    """Return a text in UTF-8 without byte-order mark; it may be in UTF-16 with one."""
    if raw.startswith(UTF16):
        return raw.decode("utf-16", "replace").encode("utf-8", "replace")
    return raw.removeprefix(b"\xef\xbb\xbf")


def floats(
    rows: Sequence[Sequence[bytes]], what: str, width: int | None = None
) -> NDArray[np.float64]:
    """Return rows of one length, the first's unless `width` is given, as (N, C).

    Raises:
        InputError: a word is no number, or a row has another length; `what` names the rows.
    """
    width = width if width is not None else len(rows[0]) if rows else 0
    if all(len(row) == width for row in rows):
        values = _parsed([word for row in rows for word in row], np.float64)
        if values is not None:
            return values.reshape(len(rows), width)
    try:
        return np.array([[float(word) for word in row] for row in rows]).reshape(len(rows), width)
    except ValueError:
        for number, row in enumerate(rows):
            if len(row) != width or not all(_is_float(word) for word in row):
                shown = b" ".join(row[:8]).decode("ascii", "replace")[:60]
                raise InputError(
                    f"{what} {number} is {shown!r}, not the numbers expected"
                ) from None
        raise


def integers(words: Iterable[bytes], what: str) -> NDArray[np.int64]:
    """Return words as (N,) integers.

    Raises:
        InputError: one is none; `what` names them.
    """
    words = list(words)
    values = _parsed(words, np.int64)
    if values is not None:
        return values
    try:
        return np.array([int(word) for word in words], np.int64)
    except (ValueError, OverflowError):
        odd = next(word for word in words if not _is_index(word))
        shown = odd.decode("ascii", "replace")[:40]
        raise InputError(f"{what} {shown!r} is not a whole number in range") from None


def _parsed(words: Sequence[bytes], kind: type[Number]) -> NDArray[Number] | None:
    """Return all words as numbers at once, or None if one is anything unusual."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's sign of a word that is none
        try:
            values = np.fromstring(b" ".join(words), kind, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return values if len(values) == len(words) else None


def _is_float(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_index(word: bytes) -> bool:
    try:
        return abs(int(word)) < 2**63
    except ValueError:
        return False
