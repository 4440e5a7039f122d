"""Files that people send, read and prepared in a process apart whose time and memory are bounded.

A hostile file may lead a parser of meshes or clouds to hold the interpreter, or to ask for memory
without end. In a process of its own it can be ended, and the server goes on. What comes back has
the size of the network's input, however many points the file has.
"""

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pointcmt.errors import InputError
from pointcmt.geometry import SUFFIXES
from pointcmt_serve.clouds import Preparation, Prepared
from pointcmt_serve.http import reading
from pointcmt_serve.http.errors import late

_STARTING = 60.0  # seconds that the process may take to start, on a machine however busy
_LOOK = 0.5  # seconds between two looks whether somebody still waits


class _Task(NamedTuple):
    """A file to read.

    Attributes:
        name: what the client calls it.
        suffix: its ending, in lower case.
        content: its bytes.
        wanted: how its cloud is prepared.
        end: the time by which the request is answered.
        left: set when nobody waits any more.
    """

    name: str
    suffix: str
    content: bytes
    wanted: Preparation
    end: float
    left: threading.Event


class FileReader:
    """Reads one file at a time, in a process that is started for the first file and kept.

    Whoever waits for a turn waits on the event loop; a thread of its own waits for the process.
    """

    def __init__(self, seconds: float, memory: int) -> None:
        """Make a reader that spends at most `seconds` and `memory` bytes on a file."""
        self._seconds = seconds
        self._memory = memory
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "reader")
        self._changing = threading.Lock()  # the process, or whether there may be one
        self._closed = False
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    async def read(
        self, name: str, content: bytes, wanted: Preparation, seconds: float
    ) -> Prepared:
        """Read and prepare what a client sent as the file `name`, within `seconds` from now.

        When the caller is cancelled, the process is ended unless it answers at once.

        Raises:
            InputError: see `pointcmt.geometry.read_cloud`; or it takes too long or too much memory.
            RefusedError: 504, the seconds passed.
        """
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise InputError(f"{name}: unknown format; use one of {', '.join(SUFFIXES)}")
        end = time.monotonic() + seconds
        task = _Task(name, suffix, content, wanted, end, threading.Event())
        try:
            async with asyncio.timeout(seconds):
                await self._turn.acquire()
                loop = asyncio.get_running_loop()
                asking = loop.run_in_executor(self._thread, self._ask, task)
                # The turn ends with the reading, though nobody may wait for it any more.
                asking.add_done_callback(lambda _: self._turn.release())
                answer = await asyncio.shield(asking)
        except TimeoutError as error:
            raise late(seconds) from error
        finally:
            task.left.set()
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

    def _ask(self, task: _Task) -> Prepared | str | None:
        """Return the cloud, why there is none, or None where nobody waits any more. Blocks."""
        try:
            pipe = self._pipe or self._start()
            now = time.monotonic()
            end = min(now + self._seconds, task.end)
            if end <= now or task.left.is_set():
                return None
            with TemporaryDirectory() as folder:  # where nothing lies beside the file
                path = Path(folder, f"file{task.suffix}")
                path.write_bytes(task.content)
                pipe.send((task.name, path, task.wanted))
                if _answers(pipe, end, task.left):
                    found: Prepared | str = pipe.recv()
                    return found
                self._stop()
            if end == task.end or task.left.is_set():
                return None
            return f"{task.name}: takes more than {self._seconds:g} s to read"
        except (EOFError, OSError):
            self._stop()
            return f"{task.name}: cannot be read; its reader broke off"

    def _start(self) -> Connection:
        """Start the process and return its pipe once it listens.

        Raises:
            EOFError: it does not start, or may not any more.
        """
        context = get_context("spawn")
        pipe, theirs = context.Pipe()
        level = logging.getLevelName(logging.getLogger().getEffectiveLevel())
        arguments = (theirs, self._memory, level)
        process = context.Process(target=reading.serve, args=arguments, daemon=True)
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


def _answers(pipe: Connection, end: float, left: threading.Event) -> bool:
    """Wait until there is an answer, `end` comes or nobody waits; return whether there is one."""
    while (rest := end - time.monotonic()) > 0 and not left.is_set():
        if pipe.poll(min(rest, _LOOK)):
            return True
    return pipe.poll()
