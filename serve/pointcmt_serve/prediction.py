"""What the classifier answers for one cloud."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.counts import require_count
from pointcmt_serve.explain.critical import CriticalPoints
from pointcmt_serve.orientation import AS_IS, Vertical

AS_IT_WAS = Vertical(None, AS_IS)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities (..., C) of logits (..., C), computed in float64."""
    scores = logits.astype(np.float64)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Candidate:
    """One class a cloud may belong to, with its probability in [0, 1]."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """The scores of one cloud.

    Attributes:
        logits: (C,) float32, one score a class, as the network gave them; of several votes, the
            logarithm of their mean probabilities.
        classes: the C class names, in the order of `logits`.
        vertical: which axis of the cloud was taken to point up, and who said so.
        explain: computes `critical_points`; it keeps the prepared cloud.
    """

    logits: NDArray[np.float32]
    classes: tuple[str, ...]
    vertical: Vertical = AS_IT_WAS
    explain: Callable[[], CriticalPoints] | None = field(default=None, repr=False)

    @property
    def index(self) -> int:
        """The index of the best class; ties go to the lowest index."""
        return int(self.logits.argmax())

    @property
    def label(self) -> str:
        """The name of the best class."""
        return self.classes[self.index]

    @property
    def probability(self) -> float:
        """The probability of the best class, in [0, 1]."""
        return float(self.probabilities[self.index])

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(C,) the softmax of `logits`; sums to 1."""
        return softmax(self.logits)

    def top(self, k: int = 5) -> list[Candidate]:
        """Return the `k` best classes, best first (all C of them when k is larger).

        Raises:
            InputError: `k` is no whole number, or less than 1.
        """
        require_count("k", k, 1)
        probabilities = self.probabilities
        order = np.argsort(-self.logits, kind="stable")[:k]
        return [Candidate(self.classes[i], int(i), float(probabilities[i])) for i in order]

    def critical_points(self) -> CriticalPoints:
        """Return the points that decided: the winners of the network's last maximum over points.

        Where the network has pooled groups of points before, the winners among their centres are
        traced back to points, see `pointcmt_serve.explain.winners`; features that are averaged
        over all points as well (DGCNN's) have no winner. The network runs once more for this,
        in onnxruntime on the CPU; of several votes, the cloud as it stands is explained.

        Raises:
            InputError: the exported file does not tell its maxima, or its network has none.
        """
        if self.explain is None:
            raise InputError("this prediction was not made by a Classifier, which could explain it")
        return self.explain()

    def __repr__(self) -> str:
        return f"Prediction({self.label!r}, probability={self.probability:.3f})"
