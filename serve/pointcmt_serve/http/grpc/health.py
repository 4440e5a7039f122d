"""gRPC's own health checking protocol, which orchestrators probe with."""

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.grpc.errors import shortened
from pointcmt_serve.http.service import Service


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Tells whether the server, or the model that is named as the service, is ready."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer for the server where no service is named."""
        ready = self._service.ready
        if request.service:
            try:
                self._service.models.get(request.service)
            except RefusedError as error:
                await context.abort(grpc.StatusCode.NOT_FOUND, shortened(str(error)))
        status = health_pb2.HealthCheckResponse
        return status(status=status.SERVING if ready else status.NOT_SERVING)

    async def Watch(self, _: Any, context: Any) -> Any:  # noqa: N802
        """Refuse to tell of every change."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "changes are not told here; ask Check")

    async def List(self, _: Any, context: Any) -> Any:  # noqa: N802
        """Refuse to tell of all services at once."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "services are not listed; ask Check")
