"""Several worker processes behind one socket."""

import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from pointcmt_serve.http.operations.metrics import FOLDER

_log = logging.getLogger(__name__)
_LOOK = 0.2  # seconds
_PAUSE = 0.5  # seconds before a worker is started again, so that a broken one does not spin

Work = Callable[[socket.socket], None]  # must be picklable


def supervise(work: Work, bound: socket.socket, count: int, patience: float) -> None:
    """Run `work` in `count` processes until a signal comes; start again any that ends before.

    Args:
        work: serves on the socket, and returns when the process is asked to stop.
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
    workers = [_start(work, bound) for _ in range(count)]
    try:
        while not stop:
            wait([worker.sentinel for worker in workers], timeout=_LOOK)
            workers = [w if stop or w.is_alive() else _again(w, work, bound) for w in workers]
    finally:
        bound.close()  # what waits to be accepted is the workers'
        _end(workers, patience)
        shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _start(work: Work, bound: socket.socket) -> BaseProcess:
    worker = get_context("spawn").Process(target=work, args=(bound,))
    worker.start()
    return worker


def _again(ended: BaseProcess, work: Work, bound: socket.socket) -> BaseProcess:
    _log.error("worker %s ended with %s; another is started", ended.pid, ended.exitcode)
    time.sleep(_PAUSE)
    return _start(work, bound)


def _end(workers: list[BaseProcess], patience: float) -> None:
    for worker in workers:
        worker.terminate()
    end = time.monotonic() + patience
    for worker in workers:
        worker.join(max(0.0, end - time.monotonic()))
        if worker.is_alive():
            worker.kill()
            worker.join()
