"""The API's description, and a page that shows it."""

import html
from functools import cache
from typing import Any

from pointcmt import __version__
from pointcmt_serve.http.protocol.names import DATATYPES, OUTPUTS

Operation = dict[str, Any]

_ERROR = {"description": "One sentence that says why.", "$ref": "#/components/responses/Error"}
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_VERSION = {**_NAME, "name": "version"}
_TIMEOUT = {
    "name": "X-Request-Timeout",
    "in": "header",
    "description": "Seconds the answer may take.",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}
_JSON_LENGTH = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "Bytes of the JSON, where those of tensors follow it.",
    "schema": {"type": "integer", "minimum": 0},
}


@cache
def openapi() -> dict[str, Any]:
    """Return the description of all routes, by OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PointCMT",
            "version": __version__,
            "description": "Point-cloud classifiers behind the Open Inference Protocol, version 2.",
        },
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "responses": {"Error": {"description": "Refused.", "content": _json("Error")}},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{}, {"key": []}, {"header": []}],
    }


def _paths() -> dict[str, dict[str, Operation]]:
    repository = "/v2/repository/models/{name}"
    return {
        "/v2": {"get": _operation("The server")},
        "/v2/health/live": {"get": _operation("Whether the process should be left running")},
        "/v2/health/ready": {"get": _operation("Whether requests should be sent here")},
        "/v2/models/stats": {"get": _operation("What all models were asked")},
        **_model("/v2/models/{name}", "model", [_NAME]),
        **_model("/v2/models/{name}/versions/{version}", "version", [_NAME, _VERSION]),
        "/v2/repository/index": {"post": _index()},
        f"{repository}/load": {"post": _operation("Load a model", parameters=[_NAME])},
        f"{repository}/unload": {"post": _operation("Unload a model", parameters=[_NAME])},
        "/classify": {"post": _classify()},
        "/metrics": {"get": _operation("Prometheus metrics")},
    }


def _model(
    base: str, what: str, parameters: list[dict[str, Any]]
) -> dict[str, dict[str, Operation]]:
    """Return the paths of a model, whose newest version answers, or of one version."""
    infer = _operation(
        f"Classify clouds with a {what}",
        "InferAnswer",
        "InferRequest",
        [*parameters, _TIMEOUT, _JSON_LENGTH],
    )
    infer["requestBody"]["content"]["application/octet-stream"] = {
        "schema": {"description": "An InferRequest, and behind it the bytes of its tensors."}
    }
    return {
        base: {"get": _operation(f"A {what} and its tensors", parameters=parameters)},
        f"{base}/ready": {"get": _operation(f"Whether a {what} is ready", parameters=parameters)},
        f"{base}/config": {"get": _operation(f"How a {what} is run", parameters=parameters)},
        f"{base}/stats": {"get": _operation(f"What a {what} was asked", parameters=parameters)},
        f"{base}/infer": {"post": infer},
    }


def _index() -> Operation:
    wanted = _object({"ready": {"type": "boolean", "description": "Only what is ready."}})
    operation = _operation("All models and their state")
    operation["requestBody"] = {"content": {"application/json": {"schema": wanted}}}
    return operation


def _operation(
    summary: str,
    answer: str | None = None,
    body: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> Operation:
    good: dict[str, Any] = {"description": "The answer."}
    if answer:
        good["content"] = _json(answer)
    operation: Operation = {"summary": summary, "responses": {"200": good, "default": _ERROR}}
    if body:
        operation["requestBody"] = {"required": True, "content": _json(body)}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _classify() -> Operation:
    fields = {
        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "model": {"type": "string", "description": "May be left out where there is one model."},
        "up": {"enum": ["x", "y", "z", "-x", "-y", "-z", "auto", "as-is"], "default": "auto"},
        "top": {"type": "integer", "minimum": 1, "default": 1},
    }
    form = {"type": "object", "required": ["file"], "properties": fields}
    operation = _operation("Classify files", parameters=[_TIMEOUT])
    operation["requestBody"] = {
        "required": True,
        "content": {"multipart/form-data": {"schema": form}},
    }
    return operation


def _schemas() -> dict[str, Any]:
    shape = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    numbers = {"type": "array", "description": "Row-major, flat or nested."}
    parameters = {"type": ["object", "null"]}
    given = {
        "name": {"const": "points"},
        "shape": shape,
        "datatype": {"enum": list(DATATYPES)},
        "data": numbers,
        "parameters": parameters,
    }
    wanted = {"name": {"enum": list(OUTPUTS)}, "parameters": parameters}
    output = {"name": {"type": "string"}, "shape": shape, "datatype": {}, "data": numbers}
    item = _object(given, "name", "shape", "datatype")
    inputs = {"type": "array", "minItems": 1, "maxItems": 1, "items": item}
    outputs = {"type": ["array", "null"], "items": _object(wanted, "name")}
    return {
        "Error": _object({"error": {"type": "string"}}),
        "InferRequest": _object(
            {
                "id": {"type": ["string", "null"]},
                "inputs": inputs,
                "outputs": outputs,
                "parameters": parameters,
            },
            "inputs",
        ),
        "InferAnswer": _object(
            {
                "model_name": {"type": "string"},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "outputs": {"type": "array", "items": _object(output)},
            }
        ),
    }


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    always = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **always}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


@cache
def docs_page() -> str:
    """Return a page that lists all routes; it loads nothing from elsewhere."""
    rows = "".join(
        f"<tr><td><code>{method.upper()}</code><td><code>{html.escape(path)}</code>"
        f"<td>{html.escape(operation['summary'])}"
        for path, methods in _paths().items()
        for method, operation in methods.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>PointCMT: the API</title>'
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;"
        "padding:0 1rem}td{padding:.2rem .6rem;vertical-align:top}</style>"
        f"<h1>The API</h1><table>{rows}</table>"
        '<p>In full: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).'
    )
