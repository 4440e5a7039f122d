"""The elements of a PLY file: rows of numbers and of lists, as text or binary."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import le
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.source import truncated
from pointcmt.geometry.formats.tokens import floats

KINDS = {
    "i1": "char int8",
    "u1": "uchar uint8",
    "i2": "short int16",
    "u2": "ushort uint16",
    "i4": "int int32",
    "u4": "uint uint32",
    "i8": "int64",
    "u8": "uint64",
    "f4": "float float32",
    "f8": "double float64",
}
TYPES = {name: kind for kind, names in KINDS.items() for name in names.split()}


@dataclass(frozen=True)
class Property:
    """One value of an element, or one list of values.

    Attributes:
        name: the header's.
        type: numpy's type of a value, without byte order.
        size: numpy's type of a list's length; None for a single value.
    """

    name: str
    type: str
    size: str | None


@dataclass(frozen=True)
class Element:
    """One kind of rows.

    Attributes:
        name: the header's.
        count: how many rows there are.
        properties: what stands in each.
    """

    name: str
    count: int
    properties: list[Property]


@dataclass(frozen=True)
class Ragged:
    """N lists.

    Attributes:
        counts: (N,) the length of each.
        values: (counts.sum(),) one list after the other.
    """

    counts: NDArray[np.int64]
    values: NDArray[Any]


Values = NDArray[Any] | Ragged


def read_body(
    raw: bytes, start: int, encoding: str, elements: Sequence[Element]
) -> dict[str, dict[str, Values]]:
    """Return the values of each property of each element.

    Args:
        raw: the file.
        start: where its header ends.
        encoding: `ascii`, `binary_little_endian` or `binary_big_endian`.
        elements: what the header announces.

    Raises:
        InputError: the file ends before the last element, or a value is no number.
    """
    body: dict[str, dict[str, Values]] = {}
    if encoding == "ascii":
        rows = [words for words in map(bytes.split, raw[start:].splitlines()) if words]
        wanted = [element for element in elements if element.properties]
        if not _are_whole(rows, wanted):
            rows = _regrouped([word for row in rows for word in row], wanted)
        place = 0
        for element in wanted:
            body[element.name] = _text(element, rows[place : place + element.count])
            place += element.count
        return body
    order = "<" if encoding == "binary_little_endian" else ">"
    for element in elements:
        if element.properties:
            body[element.name], start = _binary(raw, start, order, element)
    _require_end(len(raw) - start, elements)
    return body


def _require_end(behind: int, elements: Sequence[Element]) -> None:
    """Refuse rows of one kind, behind which as many bytes lie for each: they are longer."""
    counts = [element.count for element in elements if element.count and element.properties]
    if len(counts) == 1 and behind and behind % counts[0] == 0:
        more = behind // counts[0]
        raise InputError(f"each of its rows has {more} bytes more than its header announces")


def _are_whole(rows: list[list[bytes]], elements: Sequence[Element]) -> bool:
    """Tell whether there is a line for every row, with a word for each property or more."""
    if len(rows) < sum(element.count for element in elements):
        return False
    least = chain.from_iterable(repeat(len(e.properties), e.count) for e in elements)
    return all(map(le, least, map(len, rows)))


def _regrouped(words: list[bytes], elements: Sequence[Element]) -> list[list[bytes]]:
    """Break the words into rows anew, for a file with other line ends than the usual ones."""
    rows: list[list[bytes]] = []
    place = 0
    for element in elements:
        for number in range(element.count):
            end = place
            for one in element.properties:
                end += 1 + _size(words, end, element, number) if one.size else 1
            if end > len(words):
                raise truncated(number, element.count, _plural(element))
            rows.append(words[place:end])
            place = end
    return rows


def _plural(element: Element) -> str:
    return {"vertex": "vertices", "face": "faces"}.get(element.name, f"rows of {element.name}")


def _text(element: Element, rows: list[list[bytes]]) -> dict[str, Values]:
    if not any(p.size for p in element.properties):
        width = len(element.properties)
        if rows and len(rows[-1]) < width:
            raise truncated(len(rows) - 1, element.count, _plural(element))
        values = floats([row[:width] for row in rows], element.name).reshape(-1, width)
        return {p.name: v for p, v in zip(element.properties, values.T, strict=True)}
    counts: list[list[int]] = [[] for _ in element.properties]
    words: list[list[bytes]] = [[] for _ in element.properties]
    for number, row in enumerate(rows):
        place = 0
        for i, one in enumerate(element.properties):
            size = _size(row, place, element, number) if one.size else 1
            place += bool(one.size)
            if place + size > len(row):
                raise InputError(f"{element.name} {number} ends early; the file is truncated")
            counts[i].append(size)
            words[i] += row[place : place + size]
            place += size
    found: dict[str, Values] = {}
    for i, one in enumerate(element.properties):
        values = floats([words[i]], f"{one.name} of {element.name}")[0]
        found[one.name] = Ragged(np.array(counts[i], np.int64), values) if one.size else values
    return found


def _size(row: list[bytes], place: int, element: Element, number: int) -> int:
    if place >= len(row):
        raise truncated(number, element.count, _plural(element))
    if row[place].isdigit() and len(row[place]) < 10:
        return int(row[place])
    raise InputError(f"{element.name} {number} has a list without a length")


def _binary(raw: bytes, start: int, order: str, element: Element) -> tuple[dict[str, Values], int]:
    smallest = sum(np.dtype(p.size or p.type).itemsize for p in element.properties)
    if element.count * smallest > len(raw) - start:
        raise truncated((len(raw) - start) // smallest, element.count, _plural(element))
    if not element.count:
        return {p.name: _nothing(p) for p in element.properties}, start
    fields: list[tuple[Any, ...]] = []
    sizes = []  # as if every list were as long as the first row's
    place = start
    for one in element.properties:
        length = 1
        if one.size:
            length = _length(raw, place, order + one.size)
            place += np.dtype(one.size).itemsize
            fields.append((f"{one.name} size", order + one.size))
        fields.append((one.name, order + one.type, (length,) if one.size else ()))
        place += length * np.dtype(one.type).itemsize
        sizes.append(length)
    end = start + element.count * (place - start)
    if end <= len(raw):
        rows = np.frombuffer(raw, np.dtype(fields), element.count, start)
        lists = [(p, size) for p, size in zip(element.properties, sizes, strict=True) if p.size]
        if all((rows[f"{p.name} size"] == size).all() for p, size in lists):
            return {p.name: _regular(p, rows[p.name]) for p in element.properties}, end
    return _ragged(raw, start, order, element)


def _nothing(one: Property) -> Values:
    empty = np.zeros(0, one.type)
    return Ragged(np.zeros(0, np.int64), empty) if one.size else empty


def _regular(one: Property, values: NDArray[Any]) -> Values:
    if not one.size:
        return values
    return Ragged(np.full(len(values), values.shape[1], np.int64), values.reshape(-1))


def _length(raw: bytes, place: int, kind: str) -> int:
    found = raw[place : place + np.dtype(kind).itemsize]
    if len(found) < np.dtype(kind).itemsize:
        raise InputError("it ends within a list; the file is truncated")
    length = int(np.frombuffer(found, kind)[0])
    if not 0 <= length <= len(raw):
        raise InputError(f"it has a list of {length} values, longer than the file")
    return length


def _ragged(raw: bytes, start: int, order: str, element: Element) -> tuple[dict[str, Values], int]:
    """Walk over rows of different lengths, then gather each property at once."""
    places: list[list[int]] = [[] for _ in element.properties]
    counts: list[list[int]] = [[] for _ in element.properties]
    widths = [np.dtype(p.type).itemsize for p in element.properties]
    heads = [np.dtype(p.size).itemsize if p.size else 0 for p in element.properties]
    signed = [bool(p.size) and str(p.size).startswith("i") for p in element.properties]
    endian = "little" if order == "<" else "big"
    place = start
    for number in range(element.count):
        for i, head in enumerate(heads):
            size = 1
            if head:
                size = int.from_bytes(raw[place : place + head], endian, signed=signed[i])  # type: ignore[arg-type]
                place += head
            places[i].append(place)
            counts[i].append(size)
            place += size * widths[i]
            if size < 0 or place > len(raw):
                raise truncated(number, element.count, _plural(element))
    found: dict[str, Values] = {}
    for i, one in enumerate(element.properties):
        sizes = np.array(counts[i], np.int64)
        values = _gather(raw, np.array(places[i], np.int64), sizes, np.dtype(order + one.type))
        found[one.name] = Ragged(sizes, values) if one.size else values
    return found, place


def _gather(
    raw: bytes, places: NDArray[np.int64], sizes: NDArray[np.int64], kind: np.dtype[Any]
) -> NDArray[Any]:
    """Return `sizes[i]` values from `places[i]` on, one run after the other."""
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    first = np.repeat(places, sizes) + within * kind.itemsize  # (values,)
    data = np.frombuffer(raw, np.uint8)
    picked: NDArray[Any] = data[first[:, None] + np.arange(kind.itemsize)].reshape(-1).view(kind)
    return picked
