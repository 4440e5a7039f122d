"""Processes that work for another: started from a clean one, bounded, and gone when it is."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from pathlib import Path

LEFT_ALONE = 1  # exit status of a worker whose parent is gone
_STATM = Path("/proc/self/statm")  # Linux: the pages of this process
_UNTOLD = 2 * 1024**3  # bytes taken for an interpreter's where the system does not tell
_PR_SET_PDEATHSIG = 1  # of Linux's prctl


def clean_context(*preload: str) -> BaseContext:
    """Start processes from a clean one, since a fork of a running torch or VTK may hang.

    Args:
        *preload: modules that are loaded once, not by each process, where the system can do that.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def follow_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_after, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def lifeline() -> Iterator[int]:
    """Yield a file descriptor, the standard input of a process that calls `follow_lifeline`.

    It comes to its end when this process is gone, or leaves the context.
    """
    theirs, ours = os.pipe()
    try:
        yield theirs
    finally:
        os.close(theirs)
        os.close(ours)


def follow_lifeline() -> None:
    """End this process when the thread that started it is gone, or the standard input ends.

    Linux ends it whatever it does; elsewhere a library that holds the interpreter delays it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_leave_at_end_of_input, daemon=True).start()


def limit_memory(size: int) -> None:
    """Let this process take at most `size` bytes of address space beyond what it has now.

    The bound is as much lower as one that this process has already; without effect where the
    system knows no such bound (macOS, Windows).
    """
    if sys.platform != "win32":
        import resource

        lower_limit(resource.RLIMIT_AS, _address_space() + size)


def memory_left() -> int | None:
    """Return how many bytes of address space this process may still take; None for no bound."""
    if sys.platform == "win32":
        return None
    import resource

    bound = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if bound == resource.RLIM_INFINITY else max(bound - _address_space(), 0)


def lower_limit(kind: int, value: int) -> None:
    """Set one of the `resource` module's limits to `value`, or leave it where it is lower."""
    if sys.platform != "win32":
        import resource

        with suppress(ValueError, OSError):
            for bound in resource.getrlimit(kind):
                value = value if bound == resource.RLIM_INFINITY else min(value, bound)
            resource.setrlimit(kind, (value, value))


def _address_space() -> int:
    try:
        return int(_STATM.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return _UNTOLD


def _leave_at_end_of_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(LEFT_ALONE)


def _leave_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(LEFT_ALONE)
