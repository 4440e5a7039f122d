"""The common form of every data set: clouds, labels, class names and ids in plain arrays."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointcmt.files import name_bytes
from pointcmt.geometry import COLORS, NORMALS, XYZ

XYZ_NORMAL = (*XYZ, *NORMALS)
XYZ_RGB = (*XYZ, *COLORS)
FINGERPRINT_CHUNK = 256  # clouds hashed at a time, so that a memory-mapped set stays on disk


class ViewSource(Protocol):
    """Pictures of the objects of a data set, in its order."""

    def __len__(self) -> int:
        """Return how many objects have pictures."""
        ...

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return the views of one object, (V, H, W, 3)."""
        ...

    def decoded(self, index: int) -> bool:
        """Return whether these views can be had without decoding files."""
        ...

    def state(self, index: int) -> str:
        """Return what is another text once these views have changed; nothing is decoded."""
        ...

    def subset(self, indices: ArrayLike) -> "ViewSource":
        """Return the source of the chosen objects, in the order of `indices`."""
        ...


@dataclass(frozen=True)
class Sample:
    """One object.

    Attributes:
        points: (N, C) float32; the channels are named by the data set, x, y and z first.
        label: index into the data set's `classes`.
        id: the object's name, unique in its split, e.g. `chair/chair_0001`.
        views: (V, H, W, 3) uint8 pictures of the object, or None.
        parts: (N,) int64 label of each point, or None.
    """

    points: NDArray[np.float32]
    label: int
    id: str
    views: NDArray[np.uint8] | None = None
    parts: NDArray[np.int64] | None = None


class CloudDataset:
    """Labelled point clouds of one size, held in memory or memory-mapped.

    Args:
        name: says the exact variant and split, e.g. `modelnet40/train`.
        classes: class names; a label is an index into them.
        points: (n, N, C) float32, an array or a memory map.
        labels: (n,) integers in [0, len(classes)).
        ids: n names, unique in the split.
        normalization: the rule of `pointcmt.geometry.NORMALIZATIONS` that the points obey.
        channels: names of the C values of a point, x, y and z first.
        up: the vertical axis of the clouds, "x", "y", "z", "-x", "-y" or "-z"; None if unknown.
        views: pictures of each object, in the same order.
        parts: (n, N) label of each point: its part, or 1 for the object and 0 for background.

    Raises:
        ValueError: the arrays do not belong together.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        points: NDArray[np.float32],
        labels: ArrayLike,
        ids: Sequence[str],
        normalization: str = "unit-sphere",
        channels: Sequence[str] = XYZ,
        up: str | None = None,
        views: ViewSource | None = None,
        parts: NDArray[np.int64] | None = None,
    ) -> None:
        self.name = name
        self.classes = tuple(classes)
        self.points = points
        self.labels: NDArray[np.int64] = np.asarray(labels, dtype=np.int64)
        self.ids = ids
        self.normalization = normalization
        self.channels = tuple(channels)
        self.up = up
        self.views = views
        self.parts = parts
        self._fingerprint: str | None = None
        self._require_consistent()

    def _require_consistent(self) -> None:
        if self.points.ndim != 3 or self.points.dtype != np.float32:
            raise ValueError(
                f"{self.name}: points must be (n, N, C) float32, "
                f"not {self.points.shape} {self.points.dtype}"
            )
        if self.points.shape[2] != len(self.channels):
            raise ValueError(
                f"{self.name}: points have {self.points.shape[2]} channels, "
                f"but {len(self.channels)} are named: {', '.join(self.channels)}"
            )
        n = len(self.points)
        sizes = {"labels": len(self.labels), "ids": len(self.ids)}
        if self.views is not None:
            sizes["views"] = len(self.views)
        if self.parts is not None:
            sizes["parts"] = len(self.parts)
        for what, size in sizes.items():
            if size != n:
                raise ValueError(f"{self.name}: {n} clouds but {size} {what}")

    def __len__(self) -> int:
        """Return the number of clouds."""
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        """Return one sample; its arrays are views where memory allows."""
        return Sample(
            self.points[index],
            int(self.labels[index]),
            self.ids[index],
            None if self.views is None else self.views[index],
            None if self.parts is None else self.parts[index],
        )

    def __repr__(self) -> str:
        """Name the data set and its size."""
        n, points, channels = self.points.shape
        return f"<{self.name}: {n} clouds of {points}x{channels}, {len(self.classes)} classes>"

    def subset(self, indices: ArrayLike, name: str | None = None) -> "CloudDataset":
        """Return the chosen samples, in the order of `indices`.

        Args:
            indices: (m,) integers.
            name: name of the subset; by default the data set's own with the count added.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        return CloudDataset(
            name or f"{self.name}[{len(chosen)}]",
            self.classes,
            self.points[chosen],
            self.labels[chosen],
            [self.ids[i] for i in chosen],
            self.normalization,
            self.channels,
            self.up,
            None if self.views is None else self.views.subset(chosen),
            None if self.parts is None else self.parts[chosen],
        )

    def with_views(self, views: ViewSource) -> "CloudDataset":
        """Return the same data set with pictures; `views` must be in its order."""
        return CloudDataset(
            self.name,
            self.classes,
            self.points,
            self.labels,
            self.ids,
            self.normalization,
            self.channels,
            self.up,
            views,
            self.parts,
        )

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the classes, ids, labels, parts and coordinates.

        Two data sets with the same fingerprint hold the same clouds in the same order, whatever
        files they came from. Views are not read: they may be larger than memory.
        """
        if self._fingerprint is None:
            digest = hashlib.sha256()
            _hash_names(digest, self.classes)
            _hash_names(digest, self.ids)
            digest.update(self.labels.astype("<i8").tobytes())
            _hash_names(digest, self.channels)
            digest.update(repr(self.points.shape).encode())
            _hash_array(digest, self.points, "<f4")
            if self.parts is not None:
                _hash_array(digest, self.parts, "<i8")
            self._fingerprint = digest.hexdigest()
        return self._fingerprint


def _hash_names(digest: "hashlib._Hash", names: Iterable[str]) -> None:
    digest.update(name_bytes("\0".join(names)) + b"\0\0")


def _hash_array(digest: "hashlib._Hash", array: NDArray[np.generic], dtype: str) -> None:
    for start in range(0, len(array), FINGERPRINT_CHUNK):
        chunk = np.ascontiguousarray(array[start : start + FINGERPRINT_CHUNK], dtype=dtype)
        digest.update(chunk.data)
