"""Decoders that may end the whole process, run in one of their own, with limits.

The libraries behind LAZ (in Rust) and E57 (in C++) abort on some damaged files. The process ends
with the one that asks, and where that one's memory is bounded, it may take half of what is left:
the other half is for what comes back.
"""

import importlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.source import FACTOR, FREE_BYTES
from pointcmt.processes import (
    follow_lifeline,
    lifeline,
    limit_memory,
    lower_limit,
    memory_left,
)

BASE_BYTES = 2 * 1024**3  # address space that any file may take, threads of libraries included
BASE_SECONDS = 20
OUT_OF_MEMORY = 3  # exit status
# What threads take of the address space: a heap of glibc's each has 64 MiB.
FEW = {"MALLOC_ARENA_MAX": "1", "RAYON_NUM_THREADS": str(min(os.cpu_count() or 1, 8))}
PREFIX = "_"  # of the columns between the processes; `file` alone is a word of numpy's
BYTES_A_SECOND = 200_000  # slower is hopeless


def columns_apart(path: Path, decoder: str) -> dict[str, NDArray[Any]]:
    """Return what a decoder finds in a file.

    Args:
        path: the file.
        decoder: `module:function` in `pointcmt.geometry.formats`; takes a path, gives columns.

    Raises:
        InputError: it failed, or took more time than the file's length allows.
        MemoryError: it took more memory than that allows, or than is left.
    """
    size = path.stat().st_size
    seconds = BASE_SECONDS + size // BYTES_A_SECOND
    command = [sys.executable, "-m", __name__, decoder, str(path), str(_room(size)), str(seconds)]
    try:
        with np.load(io.BytesIO(_output(command, 2 * seconds)), allow_pickle=False) as found:
            return {name.removeprefix(PREFIX): values for name, values in found.items()}
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        if isinstance(error, subprocess.CalledProcessError) and error.returncode == OUT_OF_MEMORY:
            raise MemoryError from error
        raise InputError("its points cannot be unpacked; the file is damaged or cut") from error


def _room(size: int) -> int:
    room, left = BASE_BYTES + FREE_BYTES + FACTOR * size, memory_left()
    return room if left is None else min(room, left // 2)


def _output(command: list[str], seconds: int) -> bytes:
    with lifeline() as line:
        done = subprocess.run(
            command,
            stdin=line,
            capture_output=True,
            timeout=seconds,
            check=True,
            env={**FEW, **os.environ},
        )
    return done.stdout


def _limit(room: int, seconds: int) -> None:
    limit_memory(room)
    if sys.platform != "win32":
        import resource

        lower_limit(resource.RLIMIT_CPU, seconds)
        lower_limit(resource.RLIMIT_CORE, 0)


def _work(decoder: str, path: str, room: str, seconds: str) -> None:
    follow_lifeline()
    module, function = decoder.split(":")
    decode = getattr(importlib.import_module(module), function)
    _limit(int(room), int(seconds))
    try:
        columns = decode(Path(path))
        named = {f"{PREFIX}{name}": column for name, column in columns.items()}
        np.savez(sys.stdout.buffer, **named)
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    _work(*sys.argv[1:])
