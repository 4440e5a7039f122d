"""Prepared arrays in a folder of the user's, memory-mapped when read again."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pointcmt.errors import InputError
from pointcmt.files import cache_folder, name_bytes, write_beside
from pointcmt.processes import follow_parent

Entry = tuple[str, Path]  # an object's id and its file
VERSION = 2  # of what the readers make of a file


class Cache:
    """Arrays prepared from groups of files, such as the files of one class.

    Each group is one `.npy` file whose name holds a digest of the settings and of its sources'
    names, sizes and times of change, so a changed source is prepared anew. A group is written whole
    or not at all: an interrupted preparation goes on with the next group. The folder may be
    deleted at any time.

    Args:
        root: the data set's folder, which is not written to.
        settings: says everything that the arrays depend on apart from the files.
        cache: where the arrays of all data sets are kept, a folder each; by default `clouds` in
            `pointcmt.files.cache_folder`.
        workers: processes that prepare files side by side; 1 prepares them in this one.
    """

    def __init__(
        self, root: Path, settings: str, cache: Path | str | None = None, workers: int = 1
    ) -> None:
        place = root.resolve()
        mark = hashlib.sha256(name_bytes(str(place))).hexdigest()[:8]
        self.folder = Path(cache or cache_folder() / "clouds") / f"{place.name}-{mark}"
        self.settings, self.workers = f"{VERSION} {settings}", workers

    def rows(
        self,
        groups: Mapping[str, Sequence[Entry]],
        prepare: Callable[[Entry], NDArray[np.float32]],
    ) -> list[NDArray[np.float32]]:
        """Return one memory-mapped array (files, N, C) a group, prepared where it is missing.

        Args:
            groups: ids and files of each group; none may be empty.
            prepare: makes one object's array (N, C); with workers it must be importable.

        Raises:
            InputError: a file cannot be prepared, or the cache cannot be written; the message names
                the way to another.
        """
        targets = {name: self._target(name, files) for name, files in groups.items()}
        missing = {name: groups[name] for name, path in targets.items() if not _usable(path)}
        total = sum(len(files) for files in missing.values())
        with self._pool(total) as pool, tqdm(total=total, disable=None, unit="file") as bar:
            for name, files in missing.items():
                bar.set_description(name)
                arrays = pool.map(prepare, files, chunksize=8) if pool else map(prepare, files)
                stacked = np.stack(list(_counted(arrays, bar)))  # (files, N, C)
                self._keep(targets[name], stacked)
        return [np.load(path, mmap_mode="r", allow_pickle=False) for path in targets.values()]

    def _keep(self, target: Path, stacked: NDArray[np.float32]) -> None:
        try:
            with write_beside(target) as fresh, fresh.open("wb") as file:
                np.save(file, stacked, allow_pickle=False)
        except InputError as error:
            hint = "name another cache folder with data.cache=FOLDER or --cache FOLDER"
            raise InputError(f"{error}; {hint}") from error

    def _pool(self, files: int) -> "Executor | nullcontext[None]":
        if self.workers == 1 or not files:
            return nullcontext()
        return ProcessPoolExecutor(self.workers, initializer=follow_parent)

    def _target(self, name: str, files: Sequence[Entry]) -> Path:
        digest = hashlib.sha256(self.settings.encode())
        for one, path in files:
            try:
                state = path.stat()
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror})") from error
            digest.update(name_bytes(f"{one}\0{state.st_size}\0{state.st_mtime_ns}\0"))
        return self.folder / f"{name}-{digest.hexdigest()[:16]}.npy"


def _counted(
    arrays: Iterable[NDArray[np.float32]], bar: "tqdm[Any]"
) -> Iterator[NDArray[np.float32]]:
    for array in arrays:
        bar.update()
        yield array


def _usable(path: Path) -> bool:
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return True
