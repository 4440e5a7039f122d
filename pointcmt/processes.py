"""Processes that work for another: started from a clean one, and gone when it is."""

import multiprocessing
import os
import threading
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext

LEFT_ALONE = 1  # exit status of a worker whose parent is gone


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


def _leave_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(LEFT_ALONE)
