"""Files that people send, read in a process apart whose time and memory are bounded.

A hostile file may lead a parser of meshes or clouds to hold the interpreter, or to ask for memory
without end. In a process of its own it can be ended, and the server goes on.
"""

import asyncio
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from pointcmt.errors import InputError
from pointcmt.geometry import SUFFIXES, Cloud
from pointcmt_serve.http.errors import late

MEMORY = 4 * 2**30  # bytes of address space that the reader may have
_STARTING = 60.0  # seconds that the process may take to start, on a machine however busy

Asked = tuple[str, Path, tuple[str, ...]]  # name, where it lies, channels


class FileReader:
    """Reads one file at a time, in a process that is started for the first file and kept.

    Whoever waits for a turn waits on the event loop; a thread of its own waits for the process.
    """

    def __init__(self, seconds: float) -> None:
        """Make a reader that spends at most `seconds` on a file."""
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "reader")
        self._changing = threading.Lock()  # the process, or whether there may be one
        self._closed = False
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    async def read(
        self, name: str, content: bytes, channels: tuple[str, ...], seconds: float
    ) -> Cloud:
        """Read what a client sent as the file `name`, within `seconds` from now.

        Raises:
            InputError: see `pointcmt.geometry.read_cloud`; or it takes too long or too much memory.
            RefusedError: 504, the seconds passed.
        """
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise InputError(f"{name}: unknown format; use one of {', '.join(SUFFIXES)}")
        end = time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                await self._turn.acquire()
                loop = asyncio.get_running_loop()
                asking = loop.run_in_executor(
                    self._thread, self._ask, name, suffix, content, channels, end
                )
                # The turn ends with the reading, though nobody may wait for it any more.
                asking.add_done_callback(lambda _: self._turn.release())
                answer = await asyncio.shield(asking)
        except TimeoutError as error:
            raise late(seconds) from error
        if answer is None:
            raise late(seconds)
        if isinstance(answer, str):
            raise InputError(answer)
        return answer

    def close(self) -> None:
        """End the process for good, whatever it reads."""
        with self._changing:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        self._thread.shutdown()
        self._stop()

    def _ask(
        self, name: str, suffix: str, content: bytes, channels: tuple[str, ...], end: float
    ) -> Cloud | str | None:
        """Return the cloud, why there is none, or None where `end` came first. Blocks."""
        try:
            pipe = self._pipe or self._start()
            seconds = min(self._seconds, end - time.monotonic())
            if seconds <= 0:
                return None
            with TemporaryDirectory() as folder:  # where nothing lies beside the file
                path = Path(folder, f"file{suffix}")
                path.write_bytes(content)
                pipe.send((name, path, channels))
                if pipe.poll(seconds):
                    found: Cloud | str = pipe.recv()
                    return found
                self._stop()
            if seconds < self._seconds:
                return None
            return f"{name}: takes more than {self._seconds:g} s to read"
        except (EOFError, OSError):
            self._stop()
            return f"{name}: cannot be read; its reader broke off"

    def _start(self) -> Connection:
        """Start the process and return its pipe once it listens.

        Raises:
            EOFError: it does not start, or may not any more.
        """
        context = get_context("spawn")
        pipe, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with self._changing:
            if self._closed:
                raise EOFError
            process.start()
            self._process, self._pipe = process, pipe
        theirs.close()
        if not pipe.poll(_STARTING):
            raise EOFError
        pipe.recv()
        return pipe

    def _stop(self) -> None:
        """End the process; another one may follow."""
        with self._changing:
            if self._process is not None and self._pipe is not None:
                self._process.kill()
                self._process.join()
                self._pipe.close()
            self._process = self._pipe = None


def _serve(pipe: Connection) -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        pipe.send(None)  # it listens
        while True:
            asked: Asked = pipe.recv()
            pipe.send(_read(*asked))


def _read(name: str, path: Path, channels: tuple[str, ...]) -> Cloud | str:
    from pointcmt.geometry import read_cloud

    try:
        return read_cloud(path, channels)
    except InputError as error:
        return str(error).replace(str(path), name)
    except MemoryError:
        return f"{name}: takes more memory than the {MEMORY >> 30} GiB it may have"
