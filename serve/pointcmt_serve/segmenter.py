"""The part segmenter: clouds in, a part for every point out, without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointcmt import native
from pointcmt.errors import InputError
from pointcmt.geometry import AXES, normalize, resample, turn
from pointcmt.parts import part_counts, part_ranges
from pointcmt_serve.clouds import as_clouds, checked_cloud
from pointcmt_serve.counts import require_count
from pointcmt_serve.engines import open_session
from pointcmt_serve.orientation import AS_IS, choose

NEIGHBOURS = 3
LEAST = 1e-8  # is added to squared distances, as in the network's feature propagation


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The parts of one cloud.

    Attributes:
        logits: (N, K) float32, at each point a score for each of the K parts of its class.
        category: the class that the cloud was said to be.
        names: (K,) names of its parts.
    """

    logits: NDArray[np.float32]
    category: str
    names: NDArray[np.str_]

    @property
    def index(self) -> NDArray[np.int64]:
        """(N,) the place of each point's best part in `names`; ties go to the lowest."""
        return np.asarray(self.logits.argmax(axis=1))

    @property
    def shares(self) -> dict[str, float]:
        """The share of points of each part, in [0, 1]."""
        counts = np.bincount(self.index, minlength=len(self.names))
        return dict(zip(self.names.tolist(), (counts / len(self.logits)).tolist(), strict=True))

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        return f"Segmentation({self.category!r}, {len(self.logits)} points: {told})"


class _Ready(NamedTuple):
    """A cloud (N, C), normalised and upright, with what the network sees of it, (points, C)."""

    whole: NDArray[np.float32]
    seen: NDArray[np.float32]
    label: int


class Segmenter:
    """An exported student that tells the parts of objects, whose class is known.

    One instance may be called from several threads at once.

    Attributes:
        artefact: what the exported file says about itself.
        classes: the C class names.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        engine: str = "onnxruntime",
        device: str = "auto",
        batch_size: int = 16,
        threads: int = 0,
    ):
        """Load the segmenter that pointcmt-export wrote.

        Args:
            path: the exported folder, or the file in it that the engine runs, as `model.onnx`.
            engine: a name in `pointcmt_serve.engines.ENGINES`.
            device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where the engine offers it.
            batch_size: how many clouds go through the network at once.
            threads: threads of one call on the CPU; 0 leaves the choice to the engine.

        Raises:
            InputError: `path` holds no exported segmenter, or it cannot be run here so.
        """
        require_count("batch_size", batch_size, 1)
        require_count("threads", threads, 0)
        self._session = open_session(path, engine, device, threads)
        self._batch_size, self._threads = batch_size, threads or None
        self.artefact = self._session.artefact
        self.classes = self.artefact.classes
        if not self.artefact.parts:
            raise InputError(f"{path}: tells classes, not parts; open it with Classifier")
        self._ranges = part_ranges(part_counts(self.artefact.parts))

    def __call__(
        self, points: Any, category: str | Sequence[str], *, up: str = AS_IS
    ) -> list[Segmentation]:
        """Find the parts of one cloud or many.

        The network sees `artefact.points` points of a cloud, chosen by
        `pointcmt.geometry.resample` with a fixed seed; a point that it does not see gets logits
        interpolated from the three nearest that it does, weighted by inverse squared distance.

        Args:
            points: (N, C), (B, N, C) or a list of (N_i, C) arrays, of any real dtype, with a
                column for each of `artefact.own_channels`, in any unit of length.
            category: the class of all clouds, or of each; one of `classes`.
            up: the vertical axis of the clouds, "x", "y", "z", "-x", "-y" or "-z", which is turned
                to the model's; "as-is" takes them as they stand.

        Returns:
            One segmentation a cloud, in order.

        Raises:
            InputError: a class is unknown, or a cloud has the wrong shape, fewer than two distinct
                points, or a value that is not finite; the message names the cloud.
        """
        clouds = as_clouds(points)
        names = [category] * len(clouds) if isinstance(category, str) else list(category)
        if len(names) != len(clouds):
            raise InputError(f"{len(clouds)} clouds, but {len(names)} classes are named")
        labels = [self._label(name) for name in names]
        return [found for ready in self._batches(clouds, labels, up) for found in self._run(ready)]

    def _label(self, name: str) -> int:
        if name not in self.classes:
            raise InputError(f"class {name!r} is unknown: use one of {', '.join(self.classes)}")
        return self.classes.index(name)

    def _batches(
        self, clouds: Sequence[Any] | NDArray[Any], labels: Sequence[int], up: str
    ) -> Iterator[list[_Ready]]:
        for start in range(0, len(clouds), self._batch_size):
            stop = min(start + self._batch_size, len(clouds))
            yield [self._ready(clouds[i], labels[i], up, f"cloud {i}") for i in range(start, stop)]

    def _ready(self, points: Any, label: int, up: str, name: str) -> _Ready:
        artefact = self.artefact
        cloud = checked_cloud(points, name, artefact.own_channels)
        cloud = normalize(cloud, artefact.normalization)
        if up not in (*AXES, AS_IS):
            raise InputError(f"up is {up!r}; use one of {', '.join((*AXES, AS_IS))}")
        axis = choose(up, None, artefact.up).axis
        if axis is not None and artefact.up is not None:
            cloud = turn(cloud, axis, artefact.up, artefact.own_channels)
        return _Ready(cloud, resample(cloud, artefact.points), label)

    def _run(self, ready: Sequence[_Ready]) -> list[Segmentation]:
        told = np.eye(len(self.classes), dtype=np.float32)[[each.label for each in ready]]
        seen = np.stack([each.seen for each in ready])  # (B, points, C)
        repeated = np.repeat(told[:, None], seen.shape[1], axis=1)  # (B, points, classes)
        clouds = np.concatenate([seen, repeated], axis=2).astype(np.float32)
        logits = self._session(clouds)  # (B, points, P)
        return [self._found(*both) for both in zip(ready, logits, strict=True)]

    def _found(self, ready: _Ready, logits: NDArray[np.float32]) -> Segmentation:
        own, name = self._ranges[ready.label], self.classes[ready.label]
        scores = logits[:, own.start : own.stop]  # (points, K)
        if len(ready.whole) <= len(scores):  # resampling puts all points first
            spread = scores[: len(ready.whole)]
        else:
            spread = interpolate(ready.whole[:, :3], ready.seen[:, :3], scores, self._threads)
        return Segmentation(spread, name, np.array(self.artefact.parts[name], dtype=np.str_))


def interpolate(
    points: NDArray[np.float32],
    known: NDArray[np.float32],
    values: NDArray[np.float32],
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Interpolate values (M, K) of known points (M, 3) at points (N, 3): (N, K)."""
    index = native.knn(points[None], known[None], min(NEIGHBOURS, len(known)), threads)[0]  # (N, 3)
    apart = known[index].astype(np.float64) - points[:, None]  # (N, 3, 3)
    weights = 1 / (np.square(apart).sum(axis=2) + LEAST)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("nk,nkc->nc", weights, values[index]), dtype=np.float32)
