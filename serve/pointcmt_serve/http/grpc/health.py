"""gRPC's own health checking protocol, which orchestrators probe with."""

from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from pointcmt_serve.http.grpc.absent import refused
from pointcmt_serve.http.grpc.call import Call
from pointcmt_serve.http.service import Service


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Tells whether the server, or the model that is named as the service, is ready."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def Check(self, request: Any, _: Call) -> Any:  # noqa: N802
        """Answer for the server where no service is named."""
        ready = self._service.ready
        if request.service:
            self._service.models.get(request.service)
        status = health_pb2.HealthCheckResponse
        return status(status=status.SERVING if ready else status.NOT_SERVING)

    Watch = refused("changes are not told here; ask Check")
    List = refused("services are not listed here; ask Check")
