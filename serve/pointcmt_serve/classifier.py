"""The classifier: clouds in, predictions out, without torch."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import half_turn
from pointcmt_serve.clouds import as_clouds, prepare
from pointcmt_serve.counts import require_count
from pointcmt_serve.engines import open_session
from pointcmt_serve.explain.explainer import Explainer
from pointcmt_serve.hub import fetched, is_reference
from pointcmt_serve.orientation import AS_IS, Vertical, choose, upright
from pointcmt_serve.prediction import Prediction
from pointcmt_serve.voting import MOST, ballot, mean_logits


class Classifier:
    """An exported student that classifies point clouds.

    One instance may be called from several threads at once. Memory stays bounded by
    `batch_size` clouds, however many are given. It can be pickled, to be opened anew from its
    path with the same settings, as in another process.

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
        precision: str | None = None,
        up: str = AS_IS,
        votes: int = 1,
        revision: str | None = None,
    ):
        """Load the student that pointcmt-export wrote.

        Args:
            path: the exported folder, or the file in it that the engine runs, as `model.onnx`; or
                "hf:owner/name", a folder on the Hugging Face hub (extra `hub`).
            engine: a name in `pointcmt_serve.engines.ENGINES`.
            device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where the engine offers it.
            batch_size: how many clouds go through the network at once.
            threads: threads of one call on the CPU; 0 leaves the choice to the engine.
            precision: "fp32", "fp16", "bf16" or "int8": the arithmetic that the exported file must
                have; None takes that of `model.onnx`, or of the file that `path` names. Nothing
                else ever changes it.
            up: the vertical axis of the clouds to come: "x", "y", "z", "-x", "-y" or "-z", which
                is turned to the model's; "auto" guesses it (13 more runs of the network a cloud);
                "as-is" takes clouds as they stand, as those of the training stood.
            votes: how many versions of a cloud are classified and averaged, 1 to 100; 10 cost ten
                times as much and are often a little more accurate.
            revision: the branch, tag or commit of a folder on the hub.

        Raises:
            InputError: `path` holds no exported student, or it cannot be run here so.
        """
        require_count("batch_size", batch_size, 1)
        require_count("threads", threads, 0)
        require_count("votes", votes, 1, MOST)
        if revision is not None and not is_reference(path):
            raise InputError(f"revision is {revision!r}, but {path} is not on the hub (hf:...)")
        self._reopen = partial(
            type(self),
            path if is_reference(path) else Path(path).absolute(),
            engine=engine,
            device=device,
            batch_size=batch_size,
            threads=threads,
            precision=precision,
            up=up,
            votes=votes,
            revision=revision,
        )
        path = fetched(str(path), revision) if is_reference(path) else path
        self._session = open_session(path, engine, device, threads, precision)
        self._batch_size = batch_size
        self._votes = votes
        self.artefact = self._session.artefact
        if self.artefact.parts:
            raise InputError(f"{path}: tells parts, not classes; use pointcmt-segment or Segmenter")
        self.classes = self.artefact.classes
        self._explainer = Explainer(self.artefact, threads)
        self._vertical = self.vertical(up)

    def __call__(self, points: Any) -> list[Prediction]:
        """Classify one cloud or many.

        Args:
            points: (N, C), (B, N, C) or a list of (N_i, C) arrays, of any real dtype, with a
                column for each of `artefact.channels`, in any unit of length. Each cloud may have
                any number of points from two up.

        Returns:
            One prediction a cloud, in order: a list of length one for a single (N, C) cloud.

        Raises:
            InputError: a cloud has the wrong shape, masked values, fewer than two distinct
                points, or a value that is not finite; the message names the cloud.
        """
        batches = self._batches(as_clouds(points))
        return [p for batch, sizes in batches for p in self.predict(batch, sizes=sizes)]

    def __reduce__(self) -> tuple[Callable[[], "Classifier"], tuple[()]]:
        return self._reopen, ()

    def prepare(self, points: Any, name: str = "the cloud") -> NDArray[np.float32]:
        """Bring one cloud (N, C) to what the network wants: (artefact.points, C), normalised.

        Its x, y and z are normalised as in training, then its rows are resampled by
        `pointcmt.geometry.resample`, with a fixed seed, so the answer depends on the cloud alone.

        Raises:
            InputError: see `__call__`; the message calls the cloud `name`.
        """
        return prepare(points, self.artefact, name)

    def vertical(self, up: str, file: str | None = None) -> Vertical:
        """Return how a cloud stands.

        Args:
            up: see `__init__`.
            file: the vertical axis that a file's format settles (`Cloud.up`); "auto" takes it.

        Raises:
            InputError: `up` is unknown, or an axis, and the model does not state its own.
        """
        return choose(up, file, self.artefact.up)

    def predict(
        self,
        clouds: NDArray[np.float32],
        verticals: Sequence[Vertical] | None = None,
        sizes: Sequence[int] | None = None,
    ) -> list[Prediction]:
        """Classify one batch (B, points, C) of clouds that `prepare` made.

        Args:
            clouds: the batch.
            verticals: how each cloud stands (see `vertical`); by default as `__init__` was told.
            sizes: how many points each cloud had before `prepare`, so that critical points are
                counted among those; by default among the prepared ones.
        """
        stand = [self._vertical] * len(clouds) if verticals is None else verticals
        channels = self.artefact.channels
        turned, found = upright(clouds, stand, self.artefact.up, channels, self._logits)
        votes = [self._logits(ballot(turned, vote, channels)) for vote in range(self._votes)]
        logits = self._both_ways(turned, found, votes)
        given = [clouds.shape[1]] * len(clouds) if sizes is None else sizes
        explain = [partial(self._explainer, *each) for each in zip(turned, given, strict=True)]
        rows = zip(logits, found, explain, strict=True)
        return [Prediction(row, self.classes, stood, why) for row, stood, why in rows]

    def _both_ways(
        self,
        clouds: NDArray[np.float32],
        verticals: Sequence[Vertical],
        votes: Sequence[NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        """Return the mean of the votes; where the axis is a guess, a half turn votes, too."""
        logits, up = mean_logits(votes), self.artefact.up
        guessed = [i for i, vertical in enumerate(verticals) if vertical.known == "guessed"]
        if guessed and up is not None:
            back = self._logits(half_turn(clouds[guessed], up, self.artefact.channels))
            logits = logits.copy()
            logits[guessed] = mean_logits([*(vote[guessed] for vote in votes), back])
        return logits

    def _logits(self, clouds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network on (B, points, C), `batch_size` at a time; (B, K)."""
        starts = range(0, max(len(clouds), 1), self._batch_size)
        return np.concatenate([self._session(clouds[i : i + self._batch_size]) for i in starts])

    def _batches(
        self, clouds: Sequence[Any] | NDArray[Any]
    ) -> Iterator[tuple[NDArray[np.float32], list[int]]]:
        """Yield prepared batches (B, points, C), and how many points each cloud had."""
        for start in range(0, len(clouds), self._batch_size):
            which = range(start, min(start + self._batch_size, len(clouds)))
            batch = np.stack([self.prepare(clouds[i], f"cloud {i}") for i in which])
            yield batch, [len(clouds[i]) for i in which]
