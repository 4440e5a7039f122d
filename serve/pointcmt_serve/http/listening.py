"""Where the server listens and how it speaks there, from the command's words."""

import socket
import ssl
from pathlib import Path
from typing import Any

from pointcmt.errors import InputError
from pointcmt_serve.http.transport.sockets import listen, listen_unix


def listening(options: dict[str, Any]) -> socket.socket:
    """Return the socket that `--socket`, or `--host` and `--port`, name.

    Raises:
        InputError: it cannot be had.
    """
    if options["socket"] is not None:
        return listen_unix(options["socket"])
    return listen(options["host"], options["port"])


def grpc_address(options: dict[str, Any]) -> str | None:
    """Return "host:port" of gRPC; None where `--grpc-port` is not given.

    Raises:
        InputError: the port is taken, or gRPC is not installed.
    """
    port = options["grpc_port"]
    if port is None:
        return None
    try:
        import pointcmt_serve.http.grpc  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"--grpc-port needs {error.name or error}, which is not installed; install it with: "
            "pip install 'pointcmt[grpc]'"
        ) from error
    if options["socket"] is None and port == options["port"]:
        raise InputError(f"--port and --grpc-port are both {port}; name two ports")
    host = options["host"].strip("[]")
    listen(host, port).close()  # gRPC itself would share a port that is taken
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tls_files(options: dict[str, Any]) -> tuple[Path, Path] | None:
    """Return the certificate chain and its private key; None for plain text.

    Raises:
        InputError: TLS cannot be spoken with them.
    """
    chain, key = options["tls_cert"], options["tls_key"]
    if chain is None and key is None:
        return None
    if chain is None or key is None:
        raise InputError("TLS needs both --tls-cert and --tls-key")
    for file in (chain, key):
        if not file.is_file():
            raise InputError(f"{file}: no such file, which TLS needs")

    def encrypted() -> str:
        raise InputError(f"{key}: the private key is encrypted; decrypt it for TLS")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, encrypted)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror
        sentence = f"{chain} and {key} are no PEM certificate and its private key ({reason})"
        raise InputError(sentence) from error
    return chain, key
