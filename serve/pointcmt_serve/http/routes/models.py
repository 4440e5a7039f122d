"""What the protocol tells of each model, and the loading and unloading of them."""

import json
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pointcmt.errors import InputError
from pointcmt_serve.http.body import read_body
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.models import Served
from pointcmt_serve.http.protocol import configuration, metadata
from pointcmt_serve.http.service import Service

_SMALL = 1 << 16  # bytes of a request about the repository


def model_metadata(service: Service, served: Served) -> dict[str, Any]:
    """Return the protocol's description of a model."""
    return metadata(
        served.name,
        service.models.versions(served.name),
        served.engine,
        len(served.classifier.classes),
        len(served.channels),
    )


def model_configuration(service: Service, served: Served) -> dict[str, Any]:
    """Return Triton's configuration of a model."""
    artefact = served.classifier.artefact
    return configuration(
        served.name,
        served.engine,
        len(artefact.classes),
        len(served.channels),
        served.batching,
        served.device,
        {
            "pointcmt.classes": json.dumps(artefact.classes),
            "pointcmt.normalization": artefact.normalization,
            "pointcmt.points": str(artefact.points),
            "pointcmt.student": artefact.student,
            "pointcmt.version": artefact.version,
        },
        service.settings.limits.clouds,
    )


def statistics(service: Service, name: str | None, version: str | None) -> dict[str, Any]:
    """Return the statistics of all models, of one, or of one version."""
    wanted = list(service.models.served())
    if name is not None:
        one = service.models.get(name, version)
        wanted = [s for s in wanted if s.name == name and version in (None, one.version)]
    return {"model_stats": [s.statistics.as_json(s.name, s.version) for s in wanted]}


def model_routes(service: Service) -> list[Route]:
    """Return the routes that tell of models."""

    def served(request: Request) -> Served:
        return service.models.get(request.path_params["name"], request.path_params.get("version"))

    async def describe(request: Request) -> Response:
        return JSONResponse(model_metadata(service, served(request)))

    async def ready(request: Request) -> Response:
        found = served(request)
        return JSONResponse({"name": found.name, "ready": True})

    async def config(request: Request) -> Response:
        return JSONResponse(model_configuration(service, served(request)))

    async def stats(request: Request) -> Response:
        name, version = request.path_params.get("name"), request.path_params.get("version")
        return JSONResponse(statistics(service, name, version))

    routes = [Route("/v2/models/stats", stats)]
    for base in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes += [
            Route(base, describe),
            Route(f"{base}/ready", ready),
            Route(f"{base}/config", config),
            Route(f"{base}/stats", stats),
        ]
    return routes


def repository_routes(service: Service) -> list[Route]:
    """Return the routes of the protocol's extension for repositories of models."""

    async def index(request: Request) -> Response:
        asked = await _json(request, service)
        return JSONResponse(service.models.index(asked.get("ready") is True))

    async def load(request: Request) -> Response:
        require_control(service)
        asked = await _json(request, service)
        if asked.get("parameters"):
            raise InputError("a model is loaded as its folder is; parameters are not taken")
        await service.models.load(request.path_params["name"])
        return JSONResponse({})

    async def unload(request: Request) -> Response:
        require_control(service)
        await _json(request, service)
        await service.models.unload(request.path_params["name"])
        return JSONResponse({})

    model = "/v2/repository/models/{name}"
    return [
        Route("/v2/repository/index", index, methods=["POST"]),
        Route(f"{model}/load", load, methods=["POST"]),
        Route(f"{model}/unload", unload, methods=["POST"]),
    ]


def require_control(service: Service) -> None:
    """Refuse to load and unload models where clients may not.

    Raises:
        RefusedError: 403.
    """
    if service.settings.fixed:
        raise RefusedError(HTTPStatus.FORBIDDEN, service.settings.fixed, reason="forbidden")


async def _json(request: Request, service: Service) -> dict[str, Any]:
    with service.budget.reserve() as held:
        body = await read_body(request, service.settings.limits, held)
    if len(body) > _SMALL:
        raise InputError(f"the request has {len(body)} bytes; {_SMALL} are read here")
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is not JSON ({error})") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InputError("the request is no JSON object")
    return found
