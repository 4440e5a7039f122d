"""Routes for people and scripts: a file in, its class out; the API's description."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pointcmt.errors import InputError
from pointcmt_serve.http.batching import Client, Job
from pointcmt_serve.http.body import read_body
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.models import Served
from pointcmt_serve.http.routes.asking import asked_seconds, client_of, while_connected
from pointcmt_serve.http.routes.openapi import docs_page, openapi
from pointcmt_serve.http.routes.page import SECURE
from pointcmt_serve.http.service import Service
from pointcmt_serve.http.uploads import FileReader

MAX_FILES = 64
_PIECE = 1 << 16


def people_routes(service: Service) -> list[Route]:
    """Return the routes for people."""
    reader = FileReader(service.settings.limits.file_seconds)
    service.at_end(reader.close)

    async def classify(request: Request) -> Response:
        with service.budget.reserve() as held:
            body = await read_body(request, service.settings.limits, held)
            form = await _form(request, body)
            served = _model(service, request, form)
            up = _field(request, form, "up") or "auto"
            served.vertical(up)
            asked = _Asked(_top(request, form), up, _files(form))
            seconds = service.seconds(asked_seconds(request))
            work = _classify(service, served, reader, asked, client_of(request), seconds)
            records = await while_connected(request, work)
        answer = {"model": served.name, "version": served.version, "answers": records}
        return JSONResponse(answer, 400 if all("error" in r for r in records) else 200)

    async def described(_: Request) -> Response:
        return JSONResponse(openapi())

    async def docs(_: Request) -> Response:
        return HTMLResponse(docs_page(), headers=SECURE)

    return [
        Route("/classify", classify, methods=["POST"]),
        Route("/openapi.json", described),
        Route("/docs", docs),
    ]


class _Asked(NamedTuple):
    top: int
    up: str
    files: list[UploadFile]


async def _classify(
    service: Service,
    served: Served,
    reader: FileReader,
    asked: _Asked,
    client: Client,
    seconds: float,
) -> list[dict[str, Any]]:
    """Return a record a file: what `pointcmt-classify --json` prints of it."""
    start = time.monotonic()
    answers = []
    for file in asked.files:
        name = file.filename or "file"
        try:
            content = await file.read()
            cloud = await asyncio.to_thread(reader.read, name, content, served.channels)
            left = max(seconds - (time.monotonic() - start), 0.001)
            encode = partial(_record, name, asked.top)
            vertical = served.vertical(asked.up, cloud.up)
            answer = service.infer(served, [cloud.points], vertical, client, left, encode)
            answers.append(await answer)
        except InputError as error:
            answers.append({"file": name, "error": str(error)})
    return answers


def _record(name: str, top: int, job: Job) -> dict[str, Any]:
    (prediction,) = (p for p in job.predictions if p is not None)
    return {
        "file": name,
        "label": prediction.label,
        "index": prediction.index,
        "probability": prediction.probability,
        "up": asdict(prediction.vertical),
        "logits": [float(value) for value in prediction.logits],
        "top": [asdict(candidate) for candidate in prediction.top(top)],
    }


async def _form(request: Request, body: bytes) -> FormData:
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send files as multipart/form-data, in the field file (curl -F file=@chair.off)",
        )

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]
            await asyncio.sleep(0)

    parser = MultiPartParser(request.headers, pieces(), max_files=MAX_FILES, max_fields=16)  # type: ignore[arg-type]
    try:
        return await parser.parse()
    except (MultiPartException, MultipartParseError, KeyError, UnicodeDecodeError) as error:
        sentence = getattr(error, "message", str(error))
        raise InputError(f"the form cannot be read ({sentence})") from error


def _field(request: Request, form: FormData, name: str) -> str | None:
    value = form.get(name, request.query_params.get(name))
    if value is not None and not isinstance(value, str):
        raise InputError(f"the field {name} is a file; send text")
    return value or None


def _model(service: Service, request: Request, form: FormData) -> Served:
    name = _field(request, form, "model")
    return service.models.only() if name is None else service.models.get(name)


def _top(request: Request, form: FormData) -> int:
    text = _field(request, form, "top") or "1"
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 9):
        raise InputError(f"top is {text[:20]!r}; it is how many classes to name, 1 or more")
    return int(text)


def _files(form: FormData) -> list[UploadFile]:
    files = [value for value in form.getlist("file") if isinstance(value, UploadFile)]
    if not files:
        raise InputError("send at least one file, in the field file of the form")
    return files
