"""One process trains in a run folder at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt_training.together import told


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Keep a run folder for this run; of several ranks the first does.

    The folder itself is locked, so that nothing is left in it, and the lock goes with the process.
    Where a file system cannot lock a folder, nothing is kept.

    Raises:
        InputError: another process is training there, or the folder cannot be made.
    """
    handles: list[int] = []
    told(lambda: handles.extend(_lock(root)))
    try:
        yield
    finally:
        for handle in handles:
            os.close(handle)


def _lock(root: Path) -> list[int]:
    """Return the handle that holds the lock; none where folders cannot be locked."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{root}: cannot be written ({error.strerror or error})") from error
    try:
        import fcntl

        handle = os.open(root, os.O_RDONLY)
    except (ImportError, OSError):
        return []
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise InputError(
                f"{root}: another process is training here; wait for it or choose another --output"
            ) from error
        return []
    return [handle]
