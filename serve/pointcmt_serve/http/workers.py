"""Several worker processes behind one socket."""

import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe, get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from prometheus_client.multiprocess import mark_process_dead

from pointcmt_serve.http.operations.metrics import FOLDER

_log = logging.getLogger(__name__)
_LOOK = 0.2  # seconds
_PAUSE = 0.5  # seconds before a worker is started again, so that a broken one does not spin

# Serves on the socket until the connection is at its end, which the supervisor keeps open while it
# lives and nobody has asked it to stop; must be picklable.
Work = Callable[[socket.socket, "Connection[None, None]"], None]


def supervise(work: Work, bound: socket.socket, count: int, patience: float) -> None:
    """Run `work` in `count` processes until a signal comes; start again any that ends before.

    Args:
        work: see `Work`.
        bound: a listening socket that all of them share.
        count: how many.
        patience: seconds after a signal until processes that have not ended are killed.
    """
    stop: list[float] = []
    handlers = {
        number: signal.signal(number, lambda *_: stop.append(time.monotonic()))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="pointcmt-metrics-")
    watched, held = Pipe(duplex=False)
    start = partial(_start, work, bound, watched)
    workers = [start() for _ in range(count)]
    try:
        while not stop:
            wait([worker.sentinel for worker in workers], timeout=_LOOK)
            workers = [w if stop or w.is_alive() else _again(w, start) for w in workers]
    finally:
        bound.close()  # what waits to be accepted is the workers'
        held.close()  # not by a signal: each may have had one, and a second ends the drain
        _end(workers, patience)
        watched.close()
        shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _start(work: Work, bound: socket.socket, watched: "Connection[None, None]") -> BaseProcess:
    worker = get_context("spawn").Process(target=_serve, args=(work, bound, watched))
    worker.start()
    return worker


def _serve(work: Work, bound: socket.socket, watched: "Connection[None, None]") -> None:
    """Work, and remove what a supervisor that was killed cannot."""
    work(bound, watched)
    supervisor = parent_process()
    if supervisor is not None and not supervisor.is_alive():
        shutil.rmtree(os.environ[FOLDER], ignore_errors=True)


def _again(ended: BaseProcess, start: Callable[[], BaseProcess]) -> BaseProcess:
    _log.error("worker %s ended with %s; another is started", ended.pid, ended.exitcode)
    mark_process_dead(ended.pid)  # type: ignore[no-untyped-call]
    time.sleep(_PAUSE)
    return start()


def _end(workers: list[BaseProcess], patience: float) -> None:
    end = time.monotonic() + patience
    for worker in workers:
        worker.join(max(0.0, end - time.monotonic()))
        if worker.is_alive():
            worker.kill()
            worker.join()
