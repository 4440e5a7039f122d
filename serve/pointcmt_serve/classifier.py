"""The classifier: clouds in, predictions out, without torch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import normalize, resample
from pointcmt_serve.clouds import as_clouds, checked_cloud
from pointcmt_serve.engines import open_session
from pointcmt_serve.prediction import Prediction


class Classifier:
    """An exported student that classifies point clouds.

    One instance may be called from several threads at once. Memory stays bounded by
    `batch_size` clouds, however many are given.

    Attributes:
        artefact: what the exported file says about itself.
        classes: the C class names, in the order of the logits.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        engine: str = "onnxruntime",
        device: str = "auto",
        batch_size: int = 32,
        threads: int = 0,
    ):
        """Load the student that pointcmt-export wrote.

        Args:
            path: the exported folder, or the file in it that the engine runs, as `model.onnx`.
            engine: a name in `pointcmt_serve.engines.ENGINES`.
            device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where the engine offers it.
            batch_size: how many clouds go through the network at once.
            threads: threads of one call on the CPU; 0 leaves the choice to the engine.

        Raises:
            InputError: `path` holds no exported student, or it cannot be run here so.
        """
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}, but a batch has at least one cloud")
        self._session = open_session(path, engine, device, threads)
        self._batch_size = batch_size
        self.artefact = self._session.artefact
        self.classes = self.artefact.classes

    def __call__(self, points: Any) -> list[Prediction]:
        """Classify one cloud or many.

        Args:
            points: (N, 3), (B, N, 3) or a list of (N_i, 3) arrays, of any real dtype, in any
                unit of length. Each cloud may have any number of points from two up.

        Returns:
            One prediction a cloud, in order: a list of length one for a single (N, 3) cloud.

        Raises:
            InputError: a cloud has the wrong shape, fewer than two distinct points, or a
                coordinate that is not finite; the message names the cloud.
        """
        return [p for batch in self._batches(as_clouds(points)) for p in self.predict(batch)]

    def prepare(self, points: Any, name: str = "the cloud") -> NDArray[np.float32]:
        """Bring one cloud (N, 3) to what the network wants: (artefact.points, 3), normalised.

        The cloud is normalised as in training, then resampled by `pointcmt.geometry.resample`,
        with a fixed seed, so the answer depends on the cloud alone.

        Raises:
            InputError: see `__call__`; the message calls the cloud `name`.
        """
        cloud = checked_cloud(points, name)
        cloud = normalize(cloud, self.artefact.normalization)  # (N, 3)
        cloud = resample(cloud, self.artefact.points)  # (points, 3)
        return np.ascontiguousarray(cloud, dtype=np.float32)

    def predict(self, clouds: NDArray[np.float32]) -> list[Prediction]:
        """Classify one batch (B, points, 3) of clouds that `prepare` made."""
        logits = self._session(clouds)  # (B, C)
        return [Prediction(row, self.classes) for row in logits]

    def _batches(self, clouds: Sequence[Any] | NDArray[Any]) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(clouds), self._batch_size):
            stop = min(start + self._batch_size, len(clouds))
            yield np.stack([self.prepare(clouds[i], f"cloud {i}") for i in range(start, stop)])
