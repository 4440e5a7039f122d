"""Writing that leaves either the old file or the whole new one, whatever interrupts it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointcmt.errors import InputError


def cache_folder() -> Path:
    """Return the folder for what can be made again: POINTCMT_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("POINTCMT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pointcmt"


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
        room = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
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


def _replace(fresh: Path, target: Path, room: Path) -> None:
    if fresh.is_dir() and target.exists():
        old = room / "old"
        target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            old.rename(target)
            raise
    else:
        fresh.replace(target)


def _sync(path: Path) -> None:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
