"""glTF's accessors: typed arrays in buffers, each checked against the bytes that are there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.source import Source

TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


class Accessors:
    """The accessors of one file.

    Args:
        tree: the file's description.
        buffers: its buffers.
        source: the file, whose length limits what is allocated.
    """

    def __init__(self, tree: Mapping[str, Any], buffers: Sequence[bytes], source: Source) -> None:
        self._accessors = tree.get("accessors", [])
        self._views = tree.get("bufferViews", [])
        self._buffers = buffers
        self._source = source

    def floats(self, index: int, width: int | None = None) -> NDArray[np.float64]:
        """Return an accessor as (count, width), integers brought to [-1, 1] where it says so.

        Raises:
            InputError: it is of another width, or lies outside of its buffer.
        """
        values = self._values(index)
        if width is not None and values.shape[1] != width:
            raise InputError(f"an accessor has {values.shape[1]} values where {width} are needed")
        with np.errstate(invalid="ignore"):  # a signalling NaN is refused like any other
            result = values.astype(np.float64)
        if self._accessors[index].get("normalized") and values.dtype.kind in "iu":
            result = np.maximum(result / np.iinfo(values.dtype).max, -1)
        return result

    def integers(self, index: int) -> NDArray[np.int64]:
        """Return an accessor of single integers as (count,).

        Raises:
            InputError: it is of another type, or lies outside of its buffer.
        """
        values = self._values(index)
        if values.shape[1] != 1 or values.dtype.kind not in "iu":
            raise InputError("the indices of its faces are no whole numbers")
        return values[:, 0].astype(np.int64)

    def is_stored(self, index: int) -> bool:
        """Tell whether an accessor has a place in a buffer; those without are zeros, or packed."""
        return 0 <= index < len(self._accessors) and "bufferView" in self._accessors[index]

    def _values(self, index: int) -> NDArray[Any]:
        if not 0 <= index < len(self._accessors):
            raise InputError(f"it has no accessor {index}")
        own = self._accessors[index]
        kind, width = np.dtype(TYPES[own["componentType"]]), WIDTHS[own["type"]]
        if "bufferView" in own:
            values = self._view(
                own["bufferView"], own.get("byteOffset", 0), own["count"], kind, width
            )
        else:
            self._source.require_room(8 * width * own["count"], "an accessor without data")
            values = np.zeros((own["count"], width), kind)
        sparse = own.get("sparse")
        return values if sparse is None else self._replaced(values, sparse)

    def _replaced(self, values: NDArray[Any], sparse: Mapping[str, Any]) -> NDArray[Any]:
        where, what = sparse["indices"], sparse["values"]
        kind = np.dtype(TYPES[where["componentType"]])
        place = (where["bufferView"], where.get("byteOffset", 0), sparse["count"], kind, 1)
        rows = self._view(*place)[:, 0].astype(np.int64)
        if len(rows) and rows.max() >= len(values):
            raise InputError("a sparse accessor replaces what it has not")
        fresh = values.copy()
        start = what.get("byteOffset", 0)
        fresh[rows] = self._view(
            what["bufferView"], start, sparse["count"], values.dtype, values.shape[1]
        )
        return fresh

    def _view(
        self, index: int, start: int, count: int, kind: np.dtype[Any], width: int
    ) -> NDArray[Any]:
        """Return (count, width) values, which may lie a stride apart."""
        view = self._views[index]
        buffer = self._buffers[view["buffer"]]
        size = kind.itemsize * width
        stride = view.get("byteStride", size)
        first = view.get("byteOffset", 0) + start
        end = first + (count - 1) * stride + size if count else first
        most = min(view.get("byteOffset", 0) + view["byteLength"], len(buffer))
        if count < 0 or first < 0 or start < 0 or stride < size or end > most:
            raise InputError("an accessor reaches beyond its buffer; the file is truncated")
        data = np.frombuffer(buffer, np.uint8, max(end - first, 0), first)
        rows = np.lib.stride_tricks.as_strided(data, (count, size), (stride, 1), writeable=False)
        return np.ascontiguousarray(rows).view(kind).reshape(count, width)
