"""Pictures that were decoded once, read again from memory maps."""

import contextlib
import hashlib
import os
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointcmt.data.readers.rendered import RenderedViews
from pointcmt.files import cache_folder, name_bytes


class DecodedViews:
    """The pictures of listed objects, kept decoded from the first reading on.

    Each object is one `.npy` file, written beside its place and renamed, by whichever process reads
    the object first. Its name holds the state of the object's pictures when it is first asked for:
    changed pictures are decoded anew, and the outdated file is removed. So is a truncated one.
    Where the file cannot be written, nothing is kept. The folder may be deleted at any time.

    Args:
        views: where the pictures come from.
        cache: where those of all data sets are kept, a folder each; by default `pictures` in
            `pointcmt.files.cache_folder`.
    """

    def __init__(self, views: RenderedViews, cache: Path | str | None = None) -> None:
        self.views, self.cache = views, cache
        self._targets: dict[int, Path] = {}

    @cached_property
    def folder(self) -> Path:
        """Where the decoded pictures of this root are kept."""
        place = self.views.root.resolve()
        mark = hashlib.sha256(name_bytes(str(place))).hexdigest()[:8]
        return Path(self.cache or cache_folder() / "pictures") / f"{place.name}-{mark}"

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.views)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return the pictures of one object, (V, H, W, 3), perhaps a read-only memory map.

        Raises:
            InputError: a picture cannot be read, see `RenderedViews`.
        """
        target = self._target(index)
        kept = _mapped(target)
        if kept is None:
            kept = self.views[index]
            _keep(target, kept)
        return kept

    def decoded(self, index: int) -> bool:
        """Return whether the pictures of one object are kept."""
        return self._target(index).is_file()

    def state(self, index: int) -> str:
        """Return a digest of the files, see `RenderedViews.state`."""
        return self.views.state(index)

    def subset(self, indices: ArrayLike) -> "DecodedViews":
        """Return the chosen objects' pictures, in the order of `indices`."""
        return DecodedViews(self.views.subset(indices), self.cache)

    def _target(self, index: int) -> Path:
        if index not in self._targets:
            self._targets[index] = (
                self.folder / self.views.stems[index] / f"{self.state(index)}.npy"
            )
        return self._targets[index]


def _mapped(path: Path) -> NDArray[np.uint8] | None:
    """Map what `_keep` wrote; None where it is missing or damaged."""
    try:
        pictures: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return pictures if pictures.dtype == np.uint8 and pictures.ndim == 4 else None


def _keep(target: Path, pictures: NDArray[np.uint8]) -> None:
    """Write an object's pictures, if the place can be written, and remove outdated ones.

    Not by write_beside, which syncs each file: what a power failure truncates is decoded anew.
    """
    fresh = target.with_name(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with fresh.open("wb") as file:
                np.save(file, pictures, allow_pickle=False)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
        for outdated in target.parent.glob("*.npy"):
            if outdated != target:
                outdated.unlink(missing_ok=True)
