"""The calls of the protocol that have no meaning here."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from tritonclient.grpc import service_pb2_grpc

from pointcmt_serve.http.errors import RefusedError

_MEMORY = "there is no shared memory here; send tensors in the request"
_TRACE = "tracing is not set by clients here; OpenTelemetry is told where spans go"
_LOG = "logging is not set by clients here; start the server with --log-level"


def _refused(method: str, sentence: str) -> Callable[..., Awaitable[Any]]:
    def refuse() -> Any:
        raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, sentence, reason="not_implemented")

    async def call(self: "Absent", _: Any, context: Any) -> Any:
        return await self._call(method, context, refuse)

    return call


class Absent(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Refuses them, each with a sentence."""

    @abstractmethod
    async def _call(self, method: str, context: Any, answer: Callable[[], Any]) -> Any:
        """Answer one call; see `Servicer`."""

    SystemSharedMemoryStatus = _refused("SystemSharedMemoryStatus", _MEMORY)
    SystemSharedMemoryRegister = _refused("SystemSharedMemoryRegister", _MEMORY)
    SystemSharedMemoryUnregister = _refused("SystemSharedMemoryUnregister", _MEMORY)
    CudaSharedMemoryStatus = _refused("CudaSharedMemoryStatus", _MEMORY)
    CudaSharedMemoryRegister = _refused("CudaSharedMemoryRegister", _MEMORY)
    CudaSharedMemoryUnregister = _refused("CudaSharedMemoryUnregister", _MEMORY)
    TraceSetting = _refused("TraceSetting", _TRACE)
    LogSettings = _refused("LogSettings", _LOG)
