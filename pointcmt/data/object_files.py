"""The files of one split, an object each: prepared into clouds of one size, or read as they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.cache import Cache, Entry
from pointcmt.data.record import Stored, StoredObject


@dataclass(frozen=True)
class ObjectFiles:
    """The objects of one split.

    Attributes:
        classes: class names; a label is an index into them.
        files: ids and files of each class that has any, in the order of `classes`.
    """

    classes: tuple[str, ...]
    files: Mapping[str, Sequence[Entry]]

    @property
    def labels(self) -> list[int]:
        """The label of each object, class after class."""
        return [self.classes.index(name) for name, files in self.files.items() for _ in files]

    @property
    def ids(self) -> list[str]:
        """The id of each object, class after class."""
        return [one for files in self.files.values() for one, _ in files]

    @property
    def paths(self) -> list[Path]:
        """The file of each object, class after class."""
        return [path for files in self.files.values() for _, path in files]

    def prepared(
        self, store: Cache, split: str, prepare: Callable[[Entry], NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """Return one array (objects, N, C) a class, prepared or from the cache."""
        return store.rows({f"{name}-{split}": files for name, files in self.files.items()}, prepare)

    def stored(self, name: str, load: Callable[[Path], NDArray[np.float32]]) -> Stored:
        """Return the objects as their files hold them, read one after the other when asked for.

        Args:
            name: of the data set and split.
            load: reads one file, (N, C).
        """
        objects = zip(self.ids, self.labels, self.paths, strict=True)
        return Stored(
            name,
            self.classes,
            tuple(StoredObject(one, label, partial(load, path)) for one, label, path in objects),
        )
