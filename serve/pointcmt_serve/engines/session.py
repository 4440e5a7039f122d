"""What every engine offers: prepared clouds in, logits out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.artefact import Artefact
from pointcmt_serve.host_indices import host_indices

LOGITS = "logits"
POINTS = "points"


@dataclass(frozen=True)
class Outputs:
    """What a network gave for a batch.

    Attributes:
        logits: (B, K) float32, or (B, N, K) of a part segmenter.
        indices: by name ("ball_query_0", ...): those the host computed, int64, and whatever the
            graph puts out beside the logits.
    """

    logits: NDArray[np.float32]
    indices: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Session(ABC):
    """An exported student in memory; safe to use from several threads at once.

    Attributes:
        artefact: what the exported file says about itself.
    """

    artefact: Artefact

    def __init__(self, artefact: Artefact, threads: int) -> None:
        self.artefact = artefact
        self._threads = threads or None

    def __call__(self, clouds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits (B, K) of `clouds` (B, N, C), see `run`."""
        return self.run(clouds).logits

    def run(self, clouds: NDArray[np.float32], indices: bool = False) -> Outputs:
        """Run the network.

        Args:
            clouds: (B, N, C), prepared as the network wants them.
            indices: whether to return the chosen indices too.

        Raises:
            InputError: the network cannot take these clouds, or its answer is not finite.
        """
        file, channels = self.artefact.file, len(self.artefact.channels)
        if clouds.ndim != 3 or clouds.shape[2] != channels:
            raise InputError(f"{file}: takes clouds (B, N, {channels}), not {clouds.shape}")
        try:
            chosen = self._chosen(clouds)
            given = self._run({POINTS: clouds, **chosen}, indices)
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        except Exception as error:  # the runtimes raise a dozen unrelated types
            raise InputError(f"{file}: cannot be run ({first_line(error)})") from error
        logits = np.asarray(given.pop(LOGITS), dtype=np.float32)  # (B, K)
        if not np.isfinite(logits).all():
            raise InputError(f"{file}: gave a logit that is not finite")
        return Outputs(logits, {**chosen, **given} if indices else {})

    def _chosen(self, clouds: NDArray[np.float32]) -> dict[str, NDArray[np.int64]]:
        """Return the indices that the network takes beside the points."""
        return host_indices(self.artefact.steps, clouds, self._threads)

    @abstractmethod
    def _run(self, inputs: dict[str, NDArray[Any]], indices: bool) -> dict[str, NDArray[Any]]:
        """Return the logits, and where `indices` are wanted, all others that are computed here."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
