"""Routes for people and scripts: a file in, its class out; the API's description."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pointcmt.errors import InputError
from pointcmt_serve.clouds import Preparation, Prepared
from pointcmt_serve.http.batching import Client, Job
from pointcmt_serve.http.body import read_body
from pointcmt_serve.http.errors import RefusedError, late
from pointcmt_serve.http.models import Served
from pointcmt_serve.http.packing import packed
from pointcmt_serve.http.routes.asking import asked_seconds, client_of, while_connected
from pointcmt_serve.http.routes.form import field, files_in, read_form
from pointcmt_serve.http.routes.openapi import docs_page, openapi
from pointcmt_serve.http.routes.page import SECURE
from pointcmt_serve.http.service import Service
from pointcmt_serve.http.uploads import FileReader


def people_routes(service: Service) -> list[Route]:
    """Return the routes for people."""
    limits = service.settings.limits
    reader = FileReader(limits.file_seconds, limits.file_memory)
    service.at_end(reader.close)

    async def classify(request: Request) -> Response:
        with service.budget.reserve() as held:
            body = await read_body(request, limits, held)
            start = time.monotonic()
            seconds = service.seconds(asked_seconds(request))
            form = await read_form(request, body)
            del body  # the form's files lie apart from it
            model = partial(_model, service, field(request, form, "model"))
            up = field(request, form, "up") or "auto"
            model().vertical(up)
            asked = _Asked(model, _top(request, form), up, files_in(form))
            work = _classify(service, reader, asked, client_of(request), start, seconds)
            served, records = await while_connected(request, work)
        answer = {"model": served.name, "version": served.version, "answers": records}
        body = json.dumps(answer, allow_nan=False).encode()
        status = 400 if all("error" in r for r in records) else 200
        return packed(request, body, {"Content-Type": "application/json"}, status)

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
    model: Callable[[], Served]  # another one after a while, where its folder changes
    top: int
    up: str
    files: list[UploadFile]


class _Answered(NamedTuple):
    served: Served
    records: list[dict[str, Any]]


async def _classify(
    service: Service,
    reader: FileReader,
    asked: _Asked,
    client: Client,
    start: float,
    seconds: float,
) -> _Answered:
    """Return a record a file, what `pointcmt-classify --json` prints of it, and what answered last.

    Raises:
        RefusedError: there is no room in the queue, or `seconds` have passed since `start`.
    """

    def left() -> float:
        found = start + seconds - time.monotonic()
        if found <= 0:
            raise late(seconds)
        return found

    served, records = asked.model(), []
    try:
        for file in asked.files:
            name = file.filename or "file"
            try:
                served, cloud = await _prepared(reader, asked.model, name, file, left)
                vertical = served.vertical(asked.up, cloud.up)
                encode = partial(_record, name, asked.top)
                answer = service.infer(served, [cloud], vertical, client, left(), encode)
                records.append(await answer)
            except InputError as error:
                records.append({"file": name, "error": str(error)})
    except RefusedError as error:
        if error.reason == "deadline":  # it names what was left of the seconds
            raise late(seconds) from error
        raise
    return _Answered(served, records)


async def _prepared(
    reader: FileReader,
    model: Callable[[], Served],
    name: str,
    file: UploadFile,
    left: Callable[[], float],
) -> tuple[Served, Prepared]:
    """Return a file's cloud, and the version that it is prepared for and that answers now.

    A version that wants another preparation may take its place meanwhile: then it is read again.
    """
    content = await file.read()
    served = model()
    while True:
        wanted = Preparation.of(served.classifier.artefact)
        cloud = await reader.read(name, content, wanted, left())
        served = model()
        if Preparation.of(served.classifier.artefact) == wanted:
            return served, cloud


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


def _model(service: Service, name: str | None) -> Served:
    return service.models.only() if name is None else service.models.get(name)


def _top(request: Request, form: FormData) -> int:
    text = field(request, form, "top") or "1"
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 9):
        raise InputError(f"top is {text[:20]!r}; it is how many classes to name, 1 or more")
    return int(text)
