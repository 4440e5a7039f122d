"""The calls of the protocol."""

from typing import Any

from google.protobuf import json_format
from tritonclient.grpc import service_pb2

from pointcmt.errors import InputError
from pointcmt_serve.http.batching import Client, Job
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.grpc.absent import Absent
from pointcmt_serve.http.grpc.call import Call
from pointcmt_serve.http.grpc.messages import read_message, write_message
from pointcmt_serve.http.models import Served
from pointcmt_serve.http.protocol import answer_tensors, server_metadata
from pointcmt_serve.http.routes.models import (
    model_configuration,
    model_metadata,
    require_control,
    statistics,
)
from pointcmt_serve.http.service import Service


class Servicer(Absent):
    """Answers every call by the service that REST asks too, behind the `Entrance`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ServerLive(self, _: Any, call: Call) -> Any:  # noqa: N802
        """Whether the process should be left running."""
        return service_pb2.ServerLiveResponse(live=self._service.lifecycle.live)

    async def ServerReady(self, _: Any, call: Call) -> Any:  # noqa: N802
        """Whether requests should be sent here."""
        return service_pb2.ServerReadyResponse(ready=self._service.ready)

    async def ServerMetadata(self, _: Any, call: Call) -> Any:  # noqa: N802
        """What the server is."""
        return service_pb2.ServerMetadataResponse(**server_metadata())

    async def ModelReady(self, request: Any, call: Call) -> Any:  # noqa: N802
        """Whether a model is ready."""
        try:
            self._served(request)
        except RefusedError:
            return service_pb2.ModelReadyResponse(ready=False)
        return service_pb2.ModelReadyResponse(ready=True)

    async def ModelMetadata(self, request: Any, call: Call) -> Any:  # noqa: N802
        """What a model is."""
        found = model_metadata(self._service, self._served(request))
        return json_format.ParseDict(found, service_pb2.ModelMetadataResponse())

    async def ModelConfig(self, request: Any, call: Call) -> Any:  # noqa: N802
        """How a model is run."""
        found = {"config": model_configuration(self._service, self._served(request))}
        return json_format.ParseDict(found, service_pb2.ModelConfigResponse())

    async def ModelStatistics(self, request: Any, call: Call) -> Any:  # noqa: N802
        """What models were asked."""
        found = statistics(self._service, request.name or None, request.version or None)
        return json_format.ParseDict(found, service_pb2.ModelStatisticsResponse())

    async def RepositoryIndex(self, request: Any, call: Call) -> Any:  # noqa: N802
        """All models and their state."""
        found = {"models": self._service.models.index(request.ready)}
        return json_format.ParseDict(found, service_pb2.RepositoryIndexResponse())

    async def RepositoryModelLoad(self, request: Any, call: Call) -> Any:  # noqa: N802
        """Load a model."""
        require_control(self._service)
        if request.parameters:
            raise InputError("a model is loaded as its folder is; parameters are not taken")
        await self._service.models.load(request.model_name)
        return service_pb2.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(self, request: Any, call: Call) -> Any:  # noqa: N802
        """Unload a model."""
        require_control(self._service)
        await self._service.models.unload(request.model_name)
        return service_pb2.RepositoryModelUnloadResponse()

    async def ModelStreamInfer(self, request: Any, call: Call) -> Any:  # noqa: N802
        """Classify the clouds of one message of a stream."""
        answer = await self.ModelInfer(request, call)
        return service_pb2.ModelStreamInferResponse(infer_response=answer)

    async def ModelInfer(self, request: Any, call: Call) -> Any:  # noqa: N802
        """Classify clouds."""
        service = self._service
        served = self._served(request)
        clouds = service.settings.limits.clouds
        with served.counting_failures():
            asked = read_message(request, channels=len(served.channels), clouds=clouds)
            vertical = served.vertical(asked.up)
        seconds = service.seconds(asked.timeout, call.seconds)

        def encode(job: Job) -> Any:
            predictions = [p for p in job.predictions if p is not None]
            call.logged = served.log_fields(job)
            classes = len(served.classifier.classes)
            tensors = answer_tensors(asked.outputs, predictions, classes)
            return write_message(asked, served.name, served.version, tensors)

        client = Client(call.account, call.peer)
        return await service.infer(served, list(asked.clouds), vertical, client, seconds, encode)

    def _served(self, request: Any) -> Served:
        name = getattr(request, "model_name", "") or getattr(request, "name", "")
        version = getattr(request, "model_version", "") or getattr(request, "version", "")
        return self._service.models.get(name, version or None)
