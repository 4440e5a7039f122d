"""Files read and prepared ahead of the network, by several processes where there are many."""

import multiprocessing
from collections import deque
from collections.abc import Collection, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.files import is_foreign
from pointcmt.geometry import SUFFIXES, Cloud, read_cloud
from pointcmt_serve.artefact import Artefact
from pointcmt_serve.clouds import prepare

AHEAD = 32  # files a process that may be read and not yet classified


class Ready(NamedTuple):
    """A file's cloud.

    Attributes:
        points: (points, C), as the network wants it.
        up: the axis that its format settles.
        size: how many points it had in the file, or drawn from its mesh.
    """

    points: NDArray[np.float32]
    up: str | None
    size: int


def find_files(paths: Iterable[str], results: Collection[Path] = ()) -> list[str]:
    """Return `paths`, each folder replaced by the clouds and meshes in and below it, sorted.

    Passed over are what systems add (see `is_foreign`), the numbers of a glTF, and what this
    program writes: `results`, files or folders, and explanations, an .npz beside its .svg. A folder
    that holds nothing else stays as it is, to be reported like a file that cannot be read.
    """
    places = {place.resolve() for place in results}
    return [
        file
        for path in paths
        for file in (_below(path, places) if Path(path).is_dir() else []) or [path]
    ]


def _below(folder: str, results: Collection[Path]) -> list[str]:
    root = Path(folder)
    known = [
        file
        for file in root.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file() and not _is_foreign(file, root)
    ]
    described = {file.parent for file in known if file.suffix.lower() == ".gltf"}
    return sorted(str(f) for f in known if not _is_made(f, described, results))


def _is_foreign(file: Path, root: Path) -> bool:
    return any(is_foreign(name) for name in file.relative_to(root).parts)


def _is_made(file: Path, described: Collection[Path], results: Collection[Path]) -> bool:
    """Tell whether a file is part of another, or what this program has written."""
    if file.suffix.lower() == ".bin" and file.parent in described:
        return True
    if file.suffix == ".npz" and file.with_suffix(".svg").is_file():
        return True
    whole = file.resolve() if results else file
    return any(place in results for place in (whole, *whole.parents))


def read_there(file: str, channels: Sequence[str]) -> Cloud:
    """Read a cloud or a mesh; that there is none is told before its ending is looked at.

    Raises:
        InputError: see `pointcmt.geometry.read_cloud`.
    """
    if not Path(file).exists():
        raise InputError(f"{file}: no such file or folder")
    if Path(file).is_dir():
        raise InputError(f"{file}: holds no file of {', '.join(SUFFIXES)}")
    return read_cloud(file, channels)


def read_prepared(artefact: Artefact, file: str) -> Ready | InputError:
    """Read one file; an error is returned, so that it can come from another process."""
    try:
        cloud = read_there(file, artefact.channels)
        return Ready(prepare(cloud.points, artefact, file), cloud.up, len(cloud.points))
    except InputError as error:
        return error


def read_all(
    artefact: Artefact, files: Sequence[str], readers: int
) -> Generator[tuple[str, Ready | InputError], None, None]:
    """Yield every file with what was read, in order; at most `AHEAD` a process are held.

    Args:
        artefact: the student that the clouds are for.
        files: what to read.
        readers: how many processes read; 1 reads here, without another process.

    Raises:
        InputError: a process died.
    """
    read = partial(read_prepared, artefact)
    if readers == 1:
        yield from ((file, read(file)) for file in files)
        return
    with ProcessPoolExecutor(readers, multiprocessing.get_context("spawn")) as pool:
        coming = iter(files)
        waiting: deque[tuple[str, Future[Ready | InputError]]] = deque()
        for file in islice(coming, readers * AHEAD):
            waiting.append((file, pool.submit(read, file)))
        while waiting:
            file, future = waiting.popleft()
            yield file, _result(file, future)
            waiting.extend((new, pool.submit(read, new)) for new in islice(coming, 1))


def _result(file: str, future: Future[Ready | InputError]) -> Ready | InputError:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise InputError(
            f"{file}: a reading process died here or nearby, perhaps for want of memory; "
            "try --readers 1"
        ) from error
