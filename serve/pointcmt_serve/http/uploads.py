"""Files that people send, read in a process apart whose time and memory are bounded.

A hostile file may lead a parser of meshes or clouds to hold the interpreter, or to ask for memory
without end. In a process of its own it can be ended, and the server goes on.
"""

import os
import resource
import tempfile
import threading
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt.geometry import SUFFIXES, Cloud

MEMORY = 4 * 2**30  # bytes of address space that the reader may have

Asked = tuple[str, str, bytes, tuple[str, ...]]  # name, suffix, content, channels


class FileReader:
    """Reads one file at a time, in a process that is started for the first file and kept."""

    def __init__(self, seconds: float) -> None:
        """Make a reader that spends at most `seconds` on a file."""
        self._seconds = seconds
        self._turn = threading.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def read(self, name: str, content: bytes, channels: tuple[str, ...]) -> Cloud:
        """Read what a client sent as the file `name`. Blocks.

        Raises:
            InputError: see `pointcmt.geometry.read_cloud`; or it takes too long or too much memory.
        """
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise InputError(f"{name}: unknown format; use one of {', '.join(SUFFIXES)}")
        with self._turn:
            answer = self._ask((name, suffix, content, channels))
        if isinstance(answer, str):
            raise InputError(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._pipe is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = self._pipe = None

    def _ask(self, asked: Asked) -> Cloud | str:
        pipe = self._pipe or self._start()
        try:
            pipe.send(asked)
            if pipe.poll(self._seconds):
                found: Cloud | str = pipe.recv()
                return found
            sentence = f"{asked[0]}: takes more than {self._seconds:g} s to read"
        except (EOFError, OSError):
            sentence = f"{asked[0]}: cannot be read; its reader broke off"
        self.close()
        return sentence

    def _start(self) -> Connection:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self._pipe


def _serve(pipe: Connection) -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            asked: Asked = pipe.recv()
            pipe.send(_read(*asked))


def _read(name: str, suffix: str, content: bytes, channels: tuple[str, ...]) -> Cloud | str:
    from pointcmt.geometry import read_cloud

    handle, path = tempfile.mkstemp(suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        return read_cloud(path, channels)
    except InputError as error:
        return str(error).replace(path, name)
    except MemoryError:
        return f"{name}: takes more memory than the {MEMORY >> 30} GiB it may have"
    finally:
        Path(path).unlink()
