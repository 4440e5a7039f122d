"""One setting of the C library: a training step in half the time, or in less memory."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and values of glibc's malloc.h
LARGE, LEAN = 1 << 30, 8 << 20


def tune_allocator(lean: bool = False) -> None:
    """Let glibc keep freed memory for the next tensor instead of giving it back to the kernel.

    Activations of many megabytes are otherwise mapped anew for each operation, and half of a step
    goes into page faults. What is kept has holes, though, which `lean` avoids: blocks of 8 MiB and
    more are mapped each by itself. Elsewhere than on Linux with glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for threshold in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(threshold, LEAN if lean else LARGE)
