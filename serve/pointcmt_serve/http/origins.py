"""Web pages of other origins: which may ask, and what their browsers are told."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Scope

from pointcmt_serve.http.errors import RefusedError

_READS = ("GET", "HEAD", "OPTIONS")
_EXPOSED = ("Inference-Header-Content-Length", "X-Request-Id", "Retry-After")


def require_origin(scope: Scope, headers: Headers, allowed: Sequence[str]) -> None:
    """Let the server's own page ask, pages of `allowed` origins, and whatever is no page.

    A browser sends simple requests of any page without a preflight and hides only their answers,
    so those that do more than read are refused here. Behind a proxy that ends TLS, the page's
    scheme is another than the request's.

    Raises:
        RefusedError: 403, the page is of another origin.
    """
    origin = headers.get("origin")
    if origin is None or scope["method"] in _READS or origin in allowed or "*" in allowed:
        return
    host = headers.get("host", "").lower()
    own = origin.lower() in (f"http://{host}", f"https://{host}")
    if own or headers.get("sec-fetch-site") == "same-origin":
        return
    raise RefusedError(
        HTTPStatus.FORBIDDEN,
        f"web pages of {origin[:200]!r} may not ask here, unless --cors-origin names it",
        reason="origin",
    )


def with_origins(app: ASGIApp, allowed: Sequence[str]) -> ASGIApp:
    """Return `app` with the headers that let pages of `allowed` origins read its answers."""
    return _Cors(app, allowed) if allowed else app


class _Cors(CORSMiddleware):
    """Starlette's, whose refusals are JSON."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        methods = ("GET", "POST")
        super().__init__(app, allowed, methods, allow_headers=["*"], expose_headers=_EXPOSED)

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code < HTTPStatus.BAD_REQUEST:
            return answer
        what = bytes(answer.body).decode().removeprefix("Disallowed CORS ")
        refusal = {"error": f"a page of another origin may not ask so (not allowed: {what})"}
        kept = {key: answer.headers[key] for key in answer.headers if "content" not in key}
        return JSONResponse(refusal, HTTPStatus.FORBIDDEN, kept)
