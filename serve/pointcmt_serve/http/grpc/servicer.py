"""The calls of the protocol."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import json_format
from starlette.datastructures import Headers
from tritonclient.grpc import service_pb2

from pointcmt.errors import InputError
from pointcmt_serve.http.batching import Client, Job
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.grpc.absent import Absent
from pointcmt_serve.http.grpc.errors import CallError, counted, metadata_of
from pointcmt_serve.http.grpc.messages import read_message, write_message
from pointcmt_serve.http.grpc.streams import next_request
from pointcmt_serve.http.models import Served
from pointcmt_serve.http.protocol import answer_tensors, server_metadata
from pointcmt_serve.http.routes.models import (
    model_configuration,
    model_metadata,
    require_control,
    statistics,
)
from pointcmt_serve.http.security import account, offered_key
from pointcmt_serve.http.service import Service

_OPEN = ("ServerLive", "ServerReady")  # ask for no key


class Servicer(Absent):
    """Answers every call by the service that REST asks too.

    Attributes:
        stopping: set when the server stops, which ends streams.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.stopping = asyncio.Event()

    async def ServerLive(self, _: Any, context: Any) -> Any:  # noqa: N802
        """Whether the process should be left running."""
        live = self._service.lifecycle.live
        return await self._call("ServerLive", context, service_pb2.ServerLiveResponse(live=live))

    async def ServerReady(self, _: Any, context: Any) -> Any:  # noqa: N802
        """Whether requests should be sent here."""
        answer = service_pb2.ServerReadyResponse(ready=self._service.ready)
        return await self._call("ServerReady", context, answer)

    async def ServerMetadata(self, _: Any, context: Any) -> Any:  # noqa: N802
        """What the server is."""
        answer = service_pb2.ServerMetadataResponse(**server_metadata())
        return await self._call("ServerMetadata", context, answer)

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Whether a model is ready."""

        def ready() -> Any:
            try:
                self._served(request)
            except RefusedError:
                return service_pb2.ModelReadyResponse(ready=False)
            return service_pb2.ModelReadyResponse(ready=True)

        return await self._call("ModelReady", context, ready)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """What a model is."""

        def answer() -> Any:
            found = model_metadata(self._service, self._served(request))
            return json_format.ParseDict(found, service_pb2.ModelMetadataResponse())

        return await self._call("ModelMetadata", context, answer)

    async def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """How a model is run."""

        def answer() -> Any:
            found = {"config": model_configuration(self._service, self._served(request))}
            return json_format.ParseDict(found, service_pb2.ModelConfigResponse())

        return await self._call("ModelConfig", context, answer)

    async def ModelStatistics(self, request: Any, context: Any) -> Any:  # noqa: N802
        """What models were asked."""

        def answer() -> Any:
            found = statistics(self._service, request.name or None, request.version or None)
            return json_format.ParseDict(found, service_pb2.ModelStatisticsResponse())

        return await self._call("ModelStatistics", context, answer)

    async def RepositoryIndex(self, request: Any, context: Any) -> Any:  # noqa: N802
        """All models and their state."""

        def answer() -> Any:
            found = {"models": self._service.models.index(request.ready)}
            return json_format.ParseDict(found, service_pb2.RepositoryIndexResponse())

        return await self._call("RepositoryIndex", context, answer)

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Load a model."""

        async def load() -> Any:
            require_control(self._service)
            if request.parameters:
                raise InputError("a model is loaded as its folder is; parameters are not taken")
            await self._service.models.load(request.model_name)
            return service_pb2.RepositoryModelLoadResponse()

        return await self._call("RepositoryModelLoad", context, load)

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Unload a model."""

        async def unload() -> Any:
            require_control(self._service)
            await self._service.models.unload(request.model_name)
            return service_pb2.RepositoryModelUnloadResponse()

        return await self._call("RepositoryModelUnload", context, unload)

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Classify clouds."""
        return await self._call("ModelInfer", context, lambda: self._infer(request, context))

    async def ModelStreamInfer(  # noqa: N802
        self, requests: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[Any]:
        """Classify clouds of one request after another; an error ends no stream."""
        while (request := await next_request(requests, self.stopping)) is not None:
            try:
                with counted(self._service, "ModelStreamInfer", context.peer()):
                    self._authorise(context)
                    answer = await self._infer(request, context)
                yield service_pb2.ModelStreamInferResponse(infer_response=answer)
            except CallError as error:
                failed = service_pb2.ModelInferResponse(id=request.id)
                yield service_pb2.ModelStreamInferResponse(
                    error_message=str(error), infer_response=failed
                )
        if self.stopping.is_set():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")

    async def _call(
        self, method: str, context: Any, answer: Any | Callable[[], Any | Awaitable[Any]]
    ) -> Any:
        try:
            with counted(self._service, method, context.peer()):
                if method not in _OPEN:
                    self._authorise(context)
                found = answer() if callable(answer) else answer
                return await found if isinstance(found, Awaitable) else found
        except CallError as error:
            await context.abort(error.code, str(error))

    def _authorise(self, context: Any) -> str:
        keys = self._service.settings.security.keys
        if not keys:
            return ":".join(context.peer().split(":")[:-1])
        return account(keys, offered_key(Headers(metadata_of(context))))

    def _served(self, request: Any) -> Served:
        name = getattr(request, "model_name", "") or getattr(request, "name", "")
        version = getattr(request, "model_version", "") or getattr(request, "version", "")
        return self._service.models.get(name, version or None)

    async def _infer(self, request: Any, context: Any) -> Any:
        service = self._service
        served = self._served(request)
        with service.budget.reserve() as held:
            held.grow(request.ByteSize())
            clouds = service.settings.limits.clouds
            asked = read_message(request, channels=len(served.channels), clouds=clouds)
            client = Client(self._authorise(context), context.peer())
            left = context.time_remaining()
            limits = [limit for limit in (asked.timeout, left) if limit is not None]
            seconds = service.seconds(min(limits, default=None))

            def encode(job: Job) -> Any:
                predictions = [p for p in job.predictions if p is not None]
                classes = len(served.classifier.classes)
                tensors = answer_tensors(asked.outputs, predictions, classes)
                return write_message(asked, served.name, served.version, tensors)

            vertical = served.vertical(asked.up)
            clouds_ = list(asked.clouds)
            return await service.infer(served, clouds_, vertical, client, seconds, encode)
