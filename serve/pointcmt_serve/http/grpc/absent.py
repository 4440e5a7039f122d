"""The calls of the protocol that have no meaning here."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from tritonclient.grpc import service_pb2_grpc

from pointcmt_serve.http.errors import RefusedError

_MEMORY = "there is no shared memory here; send tensors in the request"
_TRACE = "tracing is not set by clients here; OpenTelemetry is told where spans go"
_LOG = "logging is not set by clients here; start the server with --log-level"


def refused(sentence: str) -> Callable[..., Awaitable[Any]]:
    """Return a method that refuses its calls with `sentence`."""

    async def refuse(*_: Any) -> Any:
        raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, sentence, reason="not_implemented")

    return refuse


class Absent(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Refuses them, each with a sentence."""

    SystemSharedMemoryStatus = refused(_MEMORY)
    SystemSharedMemoryRegister = refused(_MEMORY)
    SystemSharedMemoryUnregister = refused(_MEMORY)
    CudaSharedMemoryStatus = refused(_MEMORY)
    CudaSharedMemoryRegister = refused(_MEMORY)
    CudaSharedMemoryUnregister = refused(_MEMORY)
    TraceSetting = refused(_TRACE)
    LogSettings = refused(_LOG)
