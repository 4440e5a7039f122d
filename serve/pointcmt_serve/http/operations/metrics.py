"""Prometheus metrics."""

import os
from collections.abc import Iterator
from functools import cache
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where worker processes leave their figures, if there are any
SECONDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
CLOUDS = (1, 2, 4, 8, 16, 32, 64, 128)
_QUEUES = "pointcmt_queue_clouds"


class Metrics:
    """The figures of one server; of all its worker processes together where there are several."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._several = FOLDER in os.environ
        self.requests = Counter(
            "pointcmt_requests",
            "HTTP and gRPC requests answered.",
            ("route", "method", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "pointcmt_request_seconds",
            "From a request's headers to the end of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self.stages = Histogram(
            "pointcmt_stage_seconds",
            "Of one inference request: in the queue, in preparation, in the network.",
            ("model", "stage"),
            buckets=SECONDS,
            registry=registry,
        )
        self.clouds = Counter(
            "pointcmt_clouds", "Clouds classified.", ("model",), registry=registry
        )
        self.batches = Histogram(
            "pointcmt_batch_clouds",
            "Clouds that went through the network together.",
            ("model",),
            buckets=CLOUDS,
            registry=registry,
        )
        self.rejected = Counter(
            "pointcmt_rejected",
            "Requests and connections refused, by reason (queue_full, deadline, framing, ...).",
            ("reason",),
            registry=registry,
        )
        self._ready = self._gauge("ready", "1 while the server is ready.", mode="livemax")
        self._held = self._gauge("held_bytes", "Bytes that requests hold.")
        self._in_flight = self._gauge("in_flight", "Requests that are being answered.")
        self._queues = self._gauge(
            "queue_clouds", "Clouds that wait for a network.", "model", "version"
        )
        self._known: set[tuple[str, str]] = set()
        # To find a metric by its labels takes longer than to add to it.
        self._requests, self._seconds = cache(self.requests.labels), cache(self.seconds.labels)
        self._stages, self._clouds = cache(self.stages.labels), cache(self.clouds.labels)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def _gauge(
        self, name: str, text: str, *labels: str, mode: Literal["livesum", "livemax"] = "livesum"
    ) -> Gauge:
        return Gauge(
            f"pointcmt_{name}",
            text,
            labels,
            registry=self._registry,
            multiprocess_mode=mode,  # over the worker processes that live
        )

    def batch(self, model: str, clouds: int, preparation: float, network: float) -> None:
        """Count a batch; see `pointcmt_serve.http.batching.scheduler.Observer`."""
        self.batches.labels(model).observe(clouds)

    def answered(self, route: str, method: str, status: int | str, seconds: float) -> None:
        """Count a request that was answered, over HTTP or gRPC."""
        self._requests(route, method, status).inc()
        self._seconds(route).observe(seconds)

    def inference(
        self, model: str, clouds: int, queue: float, preparation: float, network: float
    ) -> None:
        """Count an answered inference request; times in seconds."""
        self._clouds(model).inc(clouds)
        for stage, spent in (("queue", queue), ("preparation", preparation), ("network", network)):
            self._stages(model, stage).observe(spent)

    def set_gauges(
        self, *, ready: bool, held: int, in_flight: int, waiting: dict[tuple[str, str], int]
    ) -> None:
        """Set what is true now; `waiting` is how many clouds wait, by model and version."""
        self._ready.set(ready)
        self._held.set(held)
        self._in_flight.set(in_flight)
        for labels in self._known - set(waiting):
            if self._several:
                self._queues.labels(*labels).set(0)  # see `_Together`
            else:
                self._queues.remove(*labels)
        self._known = set(waiting)
        for labels, clouds in waiting.items():
            self._queues.labels(*labels).set(clouds)

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        if not self._several:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        together.register(_Together(self._known))
        return generate_latest(together)


class _Together(Collector):
    """What all worker processes count; of their queues, those of models that are served yet.

    A process cannot take back a gauge that it has once shown to the others.
    """

    def __init__(self, served: set[tuple[str, str]]) -> None:
        self._served = served

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        together = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
        for metric in together.collect():  # type: ignore[no-untyped-call]
            if metric.name == _QUEUES:
                metric.samples = [s for s in metric.samples if self._serves(**s.labels)]
            yield metric

    def _serves(self, model: str, version: str) -> bool:
        return (model, version) in self._served
