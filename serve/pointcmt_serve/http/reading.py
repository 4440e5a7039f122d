"""What the process does that reads files for `uploads.FileReader`, until the server ends it."""

import logging
import signal
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt.geometry import read_cloud
from pointcmt.processes import follow_parent, limit_memory
from pointcmt_serve.clouds import Preparation, Prepared
from pointcmt_serve.http.operations.access import set_up_logging
from pointcmt_serve.http.settings import MIB

Asked = tuple[str, Path, Preparation]  # name, where it lies, what is wanted of its cloud

_log = logging.getLogger(__name__)


def serve(pipe: Connection, memory: int, level: str) -> None:
    """Tell that it listens, then answer each `Asked` with a `Prepared`, or why there is none.

    Args:
        pipe: to the server.
        memory: bytes that it may take from now on.
        level: of its log, whose lines are the server's.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the server, too
    follow_parent()
    set_up_logging(level)
    limit_memory(memory)
    with suppress(EOFError, BrokenPipeError):
        pipe.send(None)
        while True:
            pipe.send(_read(pipe.recv(), memory))


def _read(asked: Asked, memory: int) -> Prepared | str:
    name, path, wanted = asked
    try:
        cloud = read_cloud(path, wanted.channels)
        return Prepared(wanted(cloud.points), wanted, cloud.up)
    except InputError as error:
        return str(error).replace(str(path), name)
    except MemoryError:
        return f"{name}: takes more memory than the {memory // MIB} MiB it may have"
    except Exception:
        _log.exception("a file could not be read")
        return f"{name}: cannot be read"
