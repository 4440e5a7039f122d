"""Whether the server lives, is ready, and what it counts."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pointcmt_serve.http.operations.metrics import CONTENT_TYPE
from pointcmt_serve.http.protocol import server_metadata
from pointcmt_serve.http.service import Service


def health_routes(service: Service) -> list[Route]:
    """Return the routes that an orchestrator and a monitor ask."""

    async def server(_: Request) -> Response:
        return JSONResponse(server_metadata())

    async def live(_: Request) -> Response:
        return _answer("live", service.lifecycle.live)

    async def ready(_: Request) -> Response:
        return _answer("ready", service.ready)

    async def metrics(_: Request) -> Response:
        service.measure()
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    return [
        Route("/v2", server),
        Route("/v2/", server),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        Route("/metrics", metrics),
    ]


def _answer(what: str, value: bool) -> Response:
    headers = {} if value else {"Retry-After": "5"}
    return JSONResponse({what: value}, 200 if value else 503, headers)
