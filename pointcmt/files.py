"""Writing that leaves either the old file or the whole new one, whatever interrupts it.

A new file or folder is made in a temporary folder beside its place and renamed. A folder that
replaces another is exchanged with it in one step (Linux's RENAME_EXCHANGE). Where a file system
cannot do that, the old folder is first moved into the temporary one: a process killed just then
leaves it there, and the next writing of the same target puts it back. What a killed process left is
swept by the next writing of the same target; a lock tells it from what a living one still needs.
"""

import contextlib
import ctypes
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointcmt.errors import InputError

SUFFIX = ".partial"
_OLD = "old"
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def cache_folder() -> Path:
    """Return the folder for what can be made again: POINTCMT_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("POINTCMT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pointcmt"


def is_foreign(name: str) -> bool:
    """Tell whether a name is one that systems add: it begins with a dot, or is macOS's."""
    return name.startswith(".") or name == "__MACOSX"


def name_bytes(name: str) -> bytes:
    """Return a name in UTF-8; what was no Unicode in a file's name stays as it was."""
    return name.encode(errors="surrogateescape")


@contextmanager
def write_beside(target: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it onto `target` when the block succeeds.

    The block may make a file or a folder at the yielded path. A folder replaces an existing
    folder as a whole. On any error the temporary path is removed and `target` stays as it was.

    Raises:
        InputError: the disk is full, or the place cannot be written.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        room, lock = _make_room(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error})") from error
    try:
        fresh = room / target.name
        yield fresh
        _sync(fresh)
        _replace(fresh, target, room)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{target}: cannot be written ({reason}); nothing changed") from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
        _unlock(lock)


def _replace(fresh: Path, target: Path, room: Path) -> None:
    if not (fresh.is_dir() and target.exists()):
        fresh.replace(target)
    elif not _exchange(fresh, target):
        old = room / _OLD
        target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            old.rename(target)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two paths in one step, or return False where that cannot be done."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    names = os.fsencode(one), os.fsencode(other)
    return rename is not None and rename(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0


def _make_room(target: Path) -> tuple[Path, int | None]:
    """Make a temporary folder beside `target` and lock it for as long as this process lives."""
    while True:
        room = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=SUFFIX, dir=target.parent))
        lock = _try_lock(room)
        if room.is_dir():  # else a sweep came between the two lines
            return room, lock
        _unlock(lock)


def _sweep(target: Path) -> None:
    """Put back and remove what killed processes left beside `target`."""
    form = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}{re.escape(SUFFIX)}")
    for room in [path for path in target.parent.iterdir() if form.fullmatch(path.name)]:
        lock = _try_lock(room)
        if lock is None:
            continue
        if (room / _OLD).exists() and not target.exists():
            (room / _OLD).rename(target)
        shutil.rmtree(room, ignore_errors=True)
        _unlock(lock)


def _try_lock(folder: Path) -> int | None:
    """Lock a folder and return its handle; None where another holds it or nothing can be locked."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _unlock(handle: int | None) -> None:
    if handle is not None:
        with contextlib.suppress(OSError):
            os.close(handle)


def _sync(path: Path) -> None:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
