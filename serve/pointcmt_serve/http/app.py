"""The ASGI application."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from pointcmt_serve.http.errors import not_found
from pointcmt_serve.http.front import Front
from pointcmt_serve.http.routes.health import health_routes
from pointcmt_serve.http.routes.infer import infer_routes
from pointcmt_serve.http.routes.models import model_routes, repository_routes
from pointcmt_serve.http.routes.page import page_routes
from pointcmt_serve.http.routes.people import people_routes
from pointcmt_serve.http.service import Service
from pointcmt_serve.http.settings import Settings

_log = logging.getLogger(__name__)


def create_app(settings: Settings, service: Service | None = None) -> ASGIApp:
    """Return the server as an ASGI application.

    Args:
        settings: what to serve, and how.
        service: what answers; models that it has not loaded yet are when the application starts.
    """
    service = service or Service(settings)
    routes = [  # tried in this order, so what is asked most comes first
        *infer_routes(service),
        *people_routes(service),
        *page_routes(service),
        *health_routes(service),
        *model_routes(service),
        *repository_routes(service),
    ]
    app = _Routes(routes, redirect_slashes=False, lifespan=_lifespan(service))
    return Front(app, service)


class _Routes(Router):
    """Starlette's router, whose refusals reach `Front` as exceptions."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await super().__call__(scope, receive, send)

    async def not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise not_found(f"there is no {scope['path'][:200]}")


def _lifespan(service: Service) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        if not service.models.started:
            await asyncio.to_thread(service.models.start)
        service.lifecycle.started = True
        grpc = await _start_grpc(service)
        ending = asyncio.create_task(_stop_grpc(grpc, service))
        running = [asyncio.create_task(service.keep_measuring())]
        if service.settings.poll:
            running.append(asyncio.create_task(service.models.watch()))
        try:
            yield
        finally:
            service.lifecycle.closed.set()
            await ending
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await service.close()

    return lifespan


async def _start_grpc(service: Service) -> Any:
    settings = service.settings
    if settings.grpc is None:
        return None
    from pointcmt_serve.http.grpc import start_grpc

    return await start_grpc(service, settings.grpc, settings.security.tls)


async def _stop_grpc(grpc: Any, service: Service) -> None:
    """Stop gRPC when HTTP's ports close: what is under way has the grace of both at once."""
    await service.lifecycle.closed.wait()
    if grpc is not None:
        await grpc.stop(service.lifecycle.left(service.settings.grace))
