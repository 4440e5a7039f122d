"""Numbers out of JSON text, in bounded memory and in small steps.

A list of numbers becomes Python objects of thirty bytes each when a JSON parser reads it whole, and
no other thread runs meanwhile. Here the text is checked by the parser without building anything,
its brackets are dropped, and it is read in pieces straight into an array.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

PIECE = 1 << 17  # bytes of text read at once: about a millisecond
_DECODE = msgspec.json.Decoder(list[float])
_DROPPED = b"[] \t\r\n"
_NO_MARKS = bytes(set(range(256)) - set(b"[],"))


def read_numbers(
    text: bytes | memoryview, sizes: Sequence[int], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Read a JSON list of numbers in row-major order, flat or nested as their tensor is.

    Args:
        text: valid JSON.
        sizes: the shape of the tensor.
        dtype: what they become.

    Returns:
        All numbers in one dimension, of `dtype`.

    Raises:
        InputError: it is no list of as many numbers, or nested otherwise.
    """
    raw, count = bytes(text), prod(sizes)
    if raw[:1] != b"[":
        raise InputError("the data of points are no list of numbers")
    flat = raw.translate(None, _DROPPED)
    # A number and its comma take two bytes at least, so a shape cannot ask for more than came.
    if count > (len(flat) + 1) // 2:
        raise InputError(f"points has fewer numbers than its shape, which holds {count}")
    numbers = np.empty(count, dtype)
    filled = start = 0
    while start < len(flat):
        end = flat.find(b",", start + PIECE)
        end = len(flat) if end < 0 else end
        piece = _piece(flat[start:end], dtype)
        if filled + len(piece) > count:
            raise InputError(f"points has more numbers than its shape, which holds {count}")
        numbers[filled : filled + len(piece)] = piece
        filled, start = filled + len(piece), end + 1
    if filled != count:
        raise InputError(f"points has {filled} numbers, but its shape holds {count}")
    if raw.translate(None, _NO_MARKS) not in _nested(sizes):
        raise InputError(f"the data of points are nested otherwise than its shape {list(sizes)}")
    return numbers


def _nested(sizes: Sequence[int]) -> Iterator[bytes]:
    """Yield the brackets and commas of a tensor: flat, then with one dimension more in lists."""
    for depth in range(len(sizes) if prod(sizes) else 1):  # an empty list is one however deep
        marks = b"[%b]" % (b"," * (prod(sizes[depth:]) - 1))
        for size in reversed(sizes[:depth]):
            marks = b"[%b]" % b",".join([marks] * size)
        yield marks


def _piece(text: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore"):  # an infinity is refused with the cloud it is in
            return np.asarray(_DECODE.decode(b"[%b]" % text), dtype)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"the data of points are not numbers ({error})") from error
