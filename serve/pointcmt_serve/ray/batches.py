"""Batches by `ray.serve.batch` in place of the server's own queue."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve

from pointcmt.errors import InputError
from pointcmt_serve.http.batching import Client, Job, Network, Observer
from pointcmt_serve.http.errors import late
from pointcmt_serve.http.settings import Batching
from pointcmt_serve.orientation import Vertical
from pointcmt_serve.prediction import Prediction

Item = tuple[str, Any, Vertical]  # what to call a cloud, the cloud, how it stands


class RayBatches:
    """Answers jobs with the batches that Ray Serve makes of all requests of a replica."""

    def __init__(
        self, network: Network, batching: Batching, threads: int, observer: Observer
    ) -> None:
        self._network = network
        self._observer = observer
        self.waiting = 0
        self._batched = serve.batch(
            max_batch_size=batching.size,
            batch_wait_timeout_s=batching.delay,
            max_concurrent_batches=threads,
        )(self._answer)

    async def run(
        self, clouds: Sequence[Any], vertical: Vertical, client: Client, seconds: float
    ) -> Job:
        """Answer one request; see `Scheduler.run`. Ray bounds the queue in front of the replica.

        Raises:
            InputError: a cloud cannot be classified.
            RefusedError: the deadline passed.
        """
        job = Job(clouds, client, vertical, asyncio.get_running_loop().create_future())
        self.waiting += len(clouds)
        try:
            async with asyncio.timeout(seconds):
                asked = [
                    self._batched((f"cloud {i}", cloud, vertical)) for i, cloud in enumerate(clouds)
                ]
                answers = await asyncio.gather(*asked)
        except TimeoutError as error:
            raise late(seconds) from error
        finally:
            self.waiting -= len(clouds)
        for i, answer in enumerate(answers):
            if isinstance(answer, InputError):
                raise answer
            job.predictions[i] = answer
        return job

    def close(self) -> None:
        """End; Ray Serve ends what it started."""

    async def _answer(self, items: list[Item]) -> list[Prediction | InputError]:
        return await asyncio.to_thread(self._classify, items)

    def _classify(self, items: list[Item]) -> list[Prediction | InputError]:
        start = time.monotonic()
        answers: list[Any] = [self._prepare(name, cloud) for name, cloud, _ in items]
        good = [i for i, answer in enumerate(answers) if not isinstance(answer, InputError)]
        between = time.monotonic()
        predicted = self._predict([(answers[i], items[i][2]) for i in good]) if good else []
        for i, answer in zip(good, predicted, strict=True):
            answers[i] = answer
        if good:
            self._observer.batch(len(good), between - start, time.monotonic() - between)
        return answers

    def _prepare(self, name: str, cloud: Any) -> Any:
        try:
            return self._network.prepare(cloud, name)
        except InputError as error:
            return error

    def _predict(
        self, prepared: list[tuple[NDArray[np.float32], Vertical]]
    ) -> list[Prediction | InputError]:
        try:
            clouds = np.stack([cloud for cloud, _ in prepared])  # (B, points, C)
            return [*self._network.predict(clouds, [vertical for _, vertical in prepared])]
        except InputError as error:
            if len(prepared) == 1:
                return [error]
            # One cloud spoils the batch of its neighbours: each is tried alone.
            return [answer for one in prepared for answer in self._predict([one])]
