"""The sockets a server listens on."""

import os
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path

from pointcmt.errors import InputError

BACKLOG = 1024  # connections that may wait to be accepted


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an IPv4 or IPv6 address, or a name of one.

    Raises:
        InputError: there is no such address here, or the port is taken.
    """
    host = host.strip("[]")
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        ((family, *_, address), *_) = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise InputError(f"{where} cannot be listened on ({error.strerror})") from error


def listen_unix(path: Path) -> socket.socket:
    """Return a socket that listens at a path; one that nobody listens on any more is replaced.

    Raises:
        InputError: something else is there, or the place cannot be written.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
            path.unlink()
        bound.bind(str(path))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise InputError(f"{path} cannot be listened on ({error.strerror or error})") from error
    return bound


def send_at_once(connection: socket.socket | None) -> None:
    """Send each write of a TCP connection at once.

    asyncio does so for sockets made for TCP by name alone, which a listening one here is not; a
    body behind its head would wait for the client's delayed acknowledgement, some 40 ms.
    """
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def address(bound: socket.socket, secure: bool) -> str:
    """Return the URL of a listening socket."""
    scheme = "https" if secure else "http"
    if bound.family == socket.AF_UNIX:
        return f"unix:{bound.getsockname()}"
    host, port = bound.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def stamp(path: Path | None) -> tuple[int, int] | None:
    """Return what tells a socket's path from one that is made there later; None: none is there."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns  # a number may be given again


def remove_unix(path: Path, made: tuple[int, int] | None) -> None:
    """Remove a socket's path, unless another server has made its own there since `made`."""
    if made == stamp(path):
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def queued(sock: socket.socket | None) -> int:
    """Return how many sent bytes the system holds that the other side has not taken.

    0 where the system does not tell.
    """
    if sock is None or sys.platform == "win32":
        return 0
    import fcntl
    import termios

    try:
        told = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(told, sys.byteorder)
