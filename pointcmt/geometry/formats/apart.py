"""Decoders that may end the whole process, run in one of their own, with limits.

The libraries behind LAZ (in Rust) and E57 (in C++) abort on some damaged files.
"""

import importlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.formats.source import FACTOR, FREE_BYTES

BASE_BYTES = 2 * 1024**3  # address space of an interpreter with its libraries
BASE_SECONDS = 20
PREFIX = "_"  # of the columns between the processes; `file` alone is a word of numpy's
BYTES_A_SECOND = 200_000  # slower is hopeless


def columns_apart(path: Path, decoder: str) -> dict[str, NDArray[Any]]:
    """Return what a decoder finds in a file.

    Args:
        path: the file.
        decoder: `module:function` in `pointcmt.geometry.formats`; takes a path, gives columns.

    Raises:
        InputError: it failed, or took more memory or time than the file's length allows.
    """
    size = path.stat().st_size
    seconds = BASE_SECONDS + size // BYTES_A_SECOND
    room = BASE_BYTES + FREE_BYTES + FACTOR * size
    command = [sys.executable, "-m", __name__, decoder, str(path), str(room), str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=2 * seconds, check=True)
        with np.load(io.BytesIO(done.stdout), allow_pickle=False) as found:
            return {name.removeprefix(PREFIX): values for name, values in found.items()}
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        raise InputError("its points cannot be unpacked; the file is damaged or cut") from error


def _limit(room: int, seconds: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _work(decoder: str, path: str, room: str, seconds: str) -> None:
    _limit(int(room), int(seconds))
    module, function = decoder.split(":")
    columns = getattr(importlib.import_module(module), function)(Path(path))
    np.savez(sys.stdout.buffer, **{f"{PREFIX}{name}": column for name, column in columns.items()})


if __name__ == "__main__":
    _work(*sys.argv[1:])
