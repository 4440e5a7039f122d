"""What a browser is shown: a model's own page where its folder holds one, else one for uploads."""

from importlib import resources
from pathlib import Path
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from pointcmt_serve.http.errors import not_found
from pointcmt_serve.http.models import Served
from pointcmt_serve.http.service import Service

_OWN = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
SECURE = {"Content-Security-Policy": _OWN, "X-Content-Type-Options": "nosniff"}
_COMPUTES = {  # the page of a model runs it in the browser, from bytes that it has fetched
    **SECURE,
    "Content-Security-Policy": f"{_OWN} blob:; script-src 'self' 'wasm-unsafe-eval'",
}


def page_routes(service: Service) -> list[Route]:
    """Return the routes for browsers."""

    async def first(_: Request) -> Response:
        if service.settings.security.keys:  # a browser has none to offer for the model's page
            return _upload()
        names = sorted(s.name for s in service.models.served() if own_page(s) is not None)
        return RedirectResponse(f"pages/{quote(names[0], safe='')}/") if names else _upload()

    async def upload(_: Request) -> Response:
        return _upload()

    async def script(_: Request) -> Response:
        return Response(_file("page.js"), media_type="text/javascript", headers=SECURE)

    async def page(request: Request) -> Response:
        folder = own_page(service.models.get(request.path_params["name"]))
        path = request.path_params["path"]
        if folder is None:
            raise not_found("the model's folder holds no page; export it with --format web")
        try:
            answer = await StaticFiles(directory=folder, html=True).get_response(
                path or "index.html", request.scope
            )
        except HTTPException as error:
            raise not_found(f"the model's page has no {path[:200]}") from error
        answer.headers.update(_COMPUTES)
        return answer

    return [
        Route("/", first),
        Route("/upload", upload),
        Route("/page.js", script),
        Route("/pages/{name}/{path:path}", page),
    ]


def own_page(served: Served) -> Path | None:
    """Return the page that `pointcmt-export --format web` wrote beside a model, if it did."""
    folder = served.folder / "web"
    return folder if (folder / "index.html").is_file() else None


def _upload() -> Response:
    return HTMLResponse(_file("index.html"), headers=SECURE)


def _file(name: str) -> str:
    return resources.files("pointcmt_serve.http").joinpath("page", name).read_text("utf-8")
