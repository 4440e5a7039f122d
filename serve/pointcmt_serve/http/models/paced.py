"""One network for a lone batch, and one for batches side by side.

On a CPU a lone batch of a large network is answered soonest when all cores work on it; a small one
spends more on waking them than they bring. When several batches are under way, each had better
keep to one core: threads that wait for each other cost more than they bring.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt_serve.classifier import Classifier
from pointcmt_serve.orientation import Vertical
from pointcmt_serve.prediction import Prediction

GAIN = 0.8  # of the time: less than this gain is not worth weights that are held twice
TRIES = 4


class Paced:
    """Runs a batch on all cores while it is alone, else on one; the weights are held twice."""

    def __init__(self, wide: Classifier, narrow: Classifier) -> None:
        """Take the same student opened with all threads and with one."""
        self._wide = wide
        self._narrow = narrow
        self._under_way = 0
        self._lock = threading.Lock()

    def prepare(self, points: Any, name: str) -> NDArray[np.float32]:
        """Prepare a cloud; see `Classifier.prepare`."""
        return self._wide.prepare(points, name)

    def predict(
        self, clouds: NDArray[np.float32], verticals: Sequence[Vertical] | None = None
    ) -> list[Prediction]:
        """Classify a batch; see `Classifier.predict`."""
        with self._lock:
            self._under_way += 1
            alone = self._under_way == 1
        try:
            return (self._wide if alone else self._narrow).predict(clouds, verticals)
        finally:
            with self._lock:
                self._under_way -= 1


def pays(wide: Classifier, narrow: Classifier, clouds: NDArray[np.float32]) -> bool:
    """Return whether `clouds` (B, points, C) are answered sooner on all cores than on one."""
    return _soonest(wide, clouds) < GAIN * _soonest(narrow, clouds)


def _soonest(classifier: Classifier, clouds: NDArray[np.float32]) -> float:
    seconds = []
    for _ in range(TRIES):
        start = time.perf_counter()
        classifier.predict(clouds)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def on_cpu(engine: str, device: str) -> bool:
    """Return whether an engine runs on the CPU when it is asked for `device`."""
    if device == "auto" and engine == "onnxruntime":
        import onnxruntime

        return "CUDAExecutionProvider" not in onnxruntime.get_available_providers()
    return device == "cpu" or engine == "openvino"
