"""From the command's words to a server that runs."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection as WatchedEnd
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import uvicorn
from starlette.types import ASGIApp

from pointcmt.errors import InputError
from pointcmt_serve.engines import parse_device
from pointcmt_serve.http.app import create_app
from pointcmt_serve.http.listening import grpc_address, listening, tls_files
from pointcmt_serve.http.models.folders import OPTIONS, check_threads
from pointcmt_serve.http.operations.access import set_up_logging
from pointcmt_serve.http.security import read_keys
from pointcmt_serve.http.service import Service
from pointcmt_serve.http.settings import (
    MIB,
    SEVERAL,
    Batching,
    Limits,
    ModelSource,
    Security,
    Settings,
    checked_name,
)
from pointcmt_serve.http.transport.connection import Connection
from pointcmt_serve.http.transport.server import Server
from pointcmt_serve.http.transport.sockets import address, remove_unix, stamp
from pointcmt_serve.http.workers import supervise
from pointcmt_serve.pretrained import located


def launch(models: Sequence[str], options: dict[str, Any]) -> None:
    """Serve until a signal ends it. `options` are those of `pointcmt-serve`, by name.

    Raises:
        InputError: the words make no sense, a model cannot be loaded, or the port is taken.
    """
    set_up_logging(options["log_level"])
    settings = read_settings(models, options)
    service = Service(settings)
    service.models.start()
    names = [served.name for served in service.models.served()]
    bound = listening(options)
    where = address(bound, settings.security.tls is not None)
    for name in names:
        click.echo(f"{where}/v2/models/{quote(name)}")
    if not names:
        click.echo(f"{where}/v2")
    path = options["socket"]
    made = stamp(path)
    try:
        if options["workers"] > 1:
            asyncio.run(service.close())  # it has shown that all models can be loaded
            work = partial(_work, settings, options)
            supervise(work, bound, options["workers"], options["drain"] + options["grace"] + 5)
        else:
            serve(service, options, bound)
    finally:
        if path is not None:
            remove_unix(path, made)


def serve(
    service: Service,
    options: dict[str, Any],
    bound: socket.socket,
    asked: Callable[[], bool] = lambda: False,
) -> None:
    """Serve models that are loaded, until a signal ends it, or `asked` says so."""
    config = _config(create_app(service.settings, service), service)
    handshake = service.settings.limits.header_seconds
    Server(config, service.lifecycle, options["drain"], asked, handshake).run([bound])


def _work(
    settings: Settings,
    options: dict[str, Any],
    bound: socket.socket,
    watched: "WatchedEnd[None, None]",
) -> None:
    set_up_logging(options["log_level"])
    service = Service(settings)
    service.models.start()
    serve(service, options, bound, asked=watched.poll)


def read_settings(models: Sequence[str], options: dict[str, Any]) -> Settings:
    """Return what the words of the command say.

    Raises:
        InputError: they make no sense.
    """
    batching = Batching(
        size=options["batch"],
        delay=options["delay"] / 1e3,
        workers=options["concurrent"],
        queue=options["queue"],
    )
    limits = Limits(
        body=options["max_body"] * MIB,
        memory=options["max_memory"] * MIB,
        clouds=options["max_clouds"],
        connections=options["max_connections"],
        header_seconds=options["header_timeout"],
        body_seconds=options["body_timeout"],
        deadline=options["deadline"],
        file_memory=options["file_memory"] * MIB,
    )
    given = {key: options[key] for key in ("engine", "device", "threads")}
    parse_device(given["device"] or "auto")
    return Settings(
        models=tuple(read_source(word, options["name"]) for word in models),
        options={key: value for key, value in given.items() if value is not None},
        repository=options["repository"],
        poll=options["poll"],
        fixed=_fixed(options),
        limits=limits,
        batching=batching,
        security=Security(
            keys=read_keys(options["api_keys"]),
            origins=options["cors_origin"],
            tls=tls_files(options),
            open_metrics=options["open_metrics"],
        ),
        grpc=grpc_address(options),
        grace=options["grace"],
    )


def read_source(word: str, name: str | None) -> ModelSource:
    """Return the model that `[NAME=]DIR[,key=value ...]` means, DIR a folder or a shipped student.

    A shipped student goes by its name there, other models without one by the student's own.

    Raises:
        InputError: a name or an option makes no sense.
    """
    place, *entries = word.split(",")
    chosen: dict[str, Any] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or key not in OPTIONS:
            raise InputError(f"{word}: {entry!r} is none of {', '.join(OPTIONS)} with a value")
        try:
            chosen[key] = OPTIONS[key](value)
        except ValueError as error:
            raise InputError(f"{word}: {key} is {value!r}, no number") from error
    check_threads(word, chosen)
    before, equals, after = place.partition("=")
    # A folder may have an equals sign in its name: what is there as it stands is a folder.
    if not equals or Path(place).exists():
        folder = located(Path(place))
        shipped = place if folder != Path(place) else None
        return ModelSource(checked_name(name) if name else shipped, folder, chosen)
    return ModelSource(checked_name(before), located(Path(after)), chosen)


def _fixed(options: dict[str, Any]) -> str:
    if options["no_control"]:
        return "models are not loaded and unloaded by clients here"
    if options["workers"] > 1:
        return SEVERAL.format(f"{options['workers']} workers")
    return ""


def _config(app: ASGIApp, service: Service) -> uvicorn.Config:
    settings = service.settings
    tls = settings.security.tls
    http = partial(Connection, limits=settings.limits, metrics=service.metrics)
    return uvicorn.Config(
        app,
        http=http,  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=round(settings.limits.idle_seconds),
        timeout_graceful_shutdown=round(settings.grace),
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
