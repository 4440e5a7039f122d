"""One version of one model, in memory and answering."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointcmt_serve.classifier import Classifier
from pointcmt_serve.http.batching import Client, Job, Network, Schedule
from pointcmt_serve.http.models.folders import Stamp, options
from pointcmt_serve.http.models.paced import Paced, on_cpu, pays
from pointcmt_serve.http.models.statistics import Statistics
from pointcmt_serve.http.settings import Batching, ModelSource
from pointcmt_serve.orientation import AS_IS, Vertical


class Host(NamedTuple):
    """What a served version gets from its server.

    Attributes:
        report: told of every batch: the model, its clouds, seconds of preparation and network.
        schedule: makes what answers its requests.
        options: keyword arguments for `Classifier` that neither its source nor its folder sets.
    """

    report: Callable[[str, int, float, float], None]
    schedule: Schedule
    options: dict[str, Any]


class Served:
    """A loaded version.

    Attributes:
        name: what clients call the model.
        version: its number, as text.
        folder: where it lies.
        classifier: what answers.
        engine: what runs it.
        device: "cpu", "cuda", "cuda:N" or "auto".
        up: the vertical axis of clouds whose request names none.
        batching: how its clouds are joined.
        statistics: what was asked of it.
        stamp: of its folder, when it was loaded.
    """

    stamp: Stamp = ()

    def __init__(
        self,
        source: ModelSource,
        version: str,
        folder: Path,
        batching: Batching,
        host: Host,
    ) -> None:
        """Load the version in `folder` and send a first batch through it.

        Raises:
            InputError: it cannot be loaded or run.
        """
        chosen = {**host.options, **options(source.folder), **source.options}
        self.engine = str(chosen.get("engine", "onnxruntime"))
        self.device = str(chosen.get("device", "auto"))
        self.up = str(chosen.get("up", AS_IS))
        self.batching = batching
        self.classifier = Classifier(folder, batch_size=batching.size, **chosen)
        # A student's own name may be a path, whose slashes would end a part of ours.
        self.name = source.name or self.classifier.artefact.student.replace("/", "-")
        self.version = version
        self.folder = folder
        self.statistics = Statistics()
        self._report = host.report
        threads = batching.threads(self.device)
        self._warm_up(self.classifier)
        network: Network = self.classifier
        if threads > 1 and not chosen.get("threads") and on_cpu(self.engine, self.device):
            narrow = Classifier(folder, batch_size=batching.size, **{**chosen, "threads": 1})
            if pays(self.classifier, narrow, self._warm_up(narrow)):
                network = Paced(self.classifier, narrow)
            else:
                network = self.classifier = narrow
        self._scheduler = host.schedule(network, batching, threads, self)

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the numbers that a point has."""
        return self.classifier.artefact.channels

    @property
    def waiting(self) -> int:
        """How many clouds wait for it."""
        return self._scheduler.waiting

    def vertical(self, up: str | None, file: str | None = None) -> Vertical:
        """Return how a cloud stands; `up` None is as the model is served.

        Raises:
            InputError: see `Classifier.vertical`.
        """
        return self.classifier.vertical(up or self.up, file)

    async def run(
        self, clouds: Sequence[Any], vertical: Vertical, client: Client, seconds: float
    ) -> Job:
        """Answer one request; see `Scheduler.run`."""
        return await self._scheduler.run(clouds, vertical, client, seconds)

    @contextmanager
    def counting_failures(self) -> Iterator[None]:
        """Count a request of it that fails within."""
        start = time.monotonic()
        try:
            yield
        except Exception:
            self.statistics.failed(time.monotonic() - start)
            raise

    def log_fields(self, job: Job) -> dict[str, Any]:
        """Return what the log tells of an inference that it answered, whichever way it came."""
        return {
            "model": self.name,
            "version": self.version,
            "clouds": len(job.clouds),
            "queue_ms": round(job.waited * 1e3, 2),
            "preparation_ms": round(job.preparation * 1e3, 2),
            "network_ms": round(job.network * 1e3, 2),
        }

    def batch(self, clouds: int, preparation: float, network: float) -> None:
        """Count a batch; see `Observer`."""
        self.statistics.batch(clouds, preparation, network)
        self._report(self.name, clouds, preparation, network)

    def close(self) -> None:
        """Answer what waits, then end its workers. Blocks."""
        self._scheduler.close()

    def _warm_up(self, classifier: Classifier) -> NDArray[np.float32]:
        """Run batches of every size that matters; return the one of a lone cloud."""
        corners = np.eye(len(self.channels), dtype=np.float32)  # three different points or more
        cloud = classifier.prepare(corners)
        for size in {1, self.batching.size}:
            classifier.predict(np.stack([cloud] * size))
        return cloud[None]
