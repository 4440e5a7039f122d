"""The protocol's inference request."""

import asyncio
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pointcmt_serve.http.batching import Job
from pointcmt_serve.http.body import QUICK, read_body
from pointcmt_serve.http.budget import Reservation
from pointcmt_serve.http.models import Served
from pointcmt_serve.http.packing import packed
from pointcmt_serve.http.protocol import InferRequest, answer_tensors, read_request, write_answer
from pointcmt_serve.http.routes.asking import (
    asked_seconds,
    client_of,
    header_number,
    while_connected,
)
from pointcmt_serve.http.service import Service

JSON_LENGTH = "Inference-Header-Content-Length"


def infer_routes(service: Service) -> list[Route]:
    """Return the routes that classify by the protocol."""

    async def infer(request: Request) -> Response:
        name, version = request.path_params["name"], request.path_params.get("version")
        served = service.models.get(name, version)
        with service.budget.reserve() as held:
            with served.counting_failures():
                asked = await _read(request, service, served, held)
            served = service.models.get(name, version)  # it may be another one by now
            with served.counting_failures():
                seconds = service.seconds(asked_seconds(request), asked.timeout)
                encode = partial(_encode, request, served, asked)
                vertical, client = served.vertical(asked.up), client_of(request)
            work = service.infer(served, list(asked.clouds), vertical, client, seconds, encode)
            response: Response = await while_connected(request, work)
        return response

    return [
        Route("/v2/models/{name}/infer", infer, methods=["POST"]),
        Route("/v2/models/{name}/versions/{version}/infer", infer, methods=["POST"]),
    ]


async def _read(
    request: Request, service: Service, served: Served, held: Reservation
) -> InferRequest:
    limits = service.settings.limits
    json_length = header_number(request, JSON_LENGTH)
    body = await read_body(request, limits, held)
    held.grow(4 * (len(body) if json_length is None else min(json_length, len(body))))
    parse = partial(
        read_request, body, json_length, channels=len(served.channels), clouds=limits.clouds
    )
    return parse() if len(body) < QUICK else await asyncio.to_thread(parse)


def _encode(request: Request, served: Served, asked: InferRequest, job: Job) -> Response:
    predictions = [p for p in job.predictions if p is not None]
    tensors = answer_tensors(asked.outputs, predictions, len(served.classifier.classes))
    body, json_length = write_answer(asked.id, served.name, served.version, asked.outputs, tensors)
    request.scope["state"]["logged"] = served.log_fields(job)
    kind = "application/json" if json_length is None else "application/octet-stream"
    headers = {"Content-Type": kind}
    if json_length is not None:
        headers[JSON_LENGTH] = str(json_length)
    return packed(request, body, headers)
