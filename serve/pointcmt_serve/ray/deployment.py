"""The server's application as a deployment of Ray Serve."""

from dataclasses import replace
from pathlib import Path

from ray import serve
from ray.serve import Application
from starlette.types import ASGIApp

from pointcmt.errors import InputError
from pointcmt_serve.http import Batching, ModelSource, Settings, create_app
from pointcmt_serve.http.service import Service
from pointcmt_serve.http.settings import SEVERAL, checked_name
from pointcmt_serve.ray.batches import RayBatches


class _Server:
    """One replica: the whole application, with its models."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return create_app(self._settings, Service(self._settings, RayBatches))


def deployment(
    settings: Settings, replicas: tuple[int, int] = (1, 4), cpus: float = 1
) -> Application:
    """Return the application to give to `ray.serve.run`.

    Args:
        settings: what every replica serves.
        replicas: the fewest and the most; between them Ray Serve follows the load.
        cpus: cores that a replica takes.

    Raises:
        InputError: the numbers of replicas make no sense.
    """
    fewest, most = replicas
    if not 1 <= fewest <= most:
        raise InputError(f"replicas are {fewest} to {most}; give 1 or more, the fewest first")
    as_deployment = serve.deployment(
        name="pointcmt",
        ray_actor_options={"num_cpus": cpus},
        autoscaling_config={
            "min_replicas": fewest,
            "max_replicas": most,
            "target_ongoing_requests": settings.batching.size,
        },
        max_ongoing_requests=8 * settings.batching.size,
        max_queued_requests=settings.batching.queue,
        graceful_shutdown_timeout_s=settings.grace,
    )
    server = as_deployment(serve.ingress()(_Server))
    return server.bind(replace(settings, fixed=SEVERAL.format("several replicas")))


def app(words: dict[str, str]) -> Application:
    """Build the application from the words of `serve run pointcmt_serve.ray:app NAME=DIR ...`.

    `batch`, `fewest`, `most` and `cpus` are numbers; every other word names a model's folder.

    Raises:
        InputError: a number is none, or there is no model.
    """
    numbers = {"batch": 8.0, "fewest": 1.0, "most": 4.0, "cpus": 1.0}
    models = []
    for key, value in words.items():
        if key not in numbers:
            models.append(ModelSource(checked_name(key), Path(value).absolute()))
            continue
        try:
            numbers[key] = float(value)
        except ValueError as error:
            raise InputError(f"{key} is {value!r}, no number") from error
    if not models:
        raise InputError("there is no model to serve; give NAME=DIR")
    settings = Settings(models=tuple(models), batching=Batching(size=int(numbers["batch"])))
    replicas = int(numbers["fewest"]), int(numbers["most"])
    return deployment(settings, replicas, numbers["cpus"])
