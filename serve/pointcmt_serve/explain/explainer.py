"""The network once more, in a session that tells the values of its maxima."""

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry.resample import resampled_rows
from pointcmt_serve.artefact import BESIDE, MODEL_FILE, Artefact, find_file
from pointcmt_serve.engines.device import Device
from pointcmt_serve.engines.onnxruntime import OnnxSession
from pointcmt_serve.explain.critical import CriticalPoints, critical_points
from pointcmt_serve.explain.winners import shares

if TYPE_CHECKING:
    from pointcmt_serve.engines.session import Session


class Explainer:
    """Tells which points decided.

    Whatever engine classifies, in whatever precision, onnxruntime explains, on the CPU, with the
    file `model.onnx` that lies beside the others. It is loaded when it is first asked.
    """

    def __init__(self, artefact: Artefact, threads: int = 0) -> None:
        self._artefact = artefact
        self._threads = threads
        self._session: Session | None = None
        self._lock = threading.Lock()

    def __call__(self, cloud: NDArray[np.float32], given: int) -> CriticalPoints:
        """Return the critical points of a cloud.

        Args:
            cloud: (P, C), as the network wants it.
            given: N, the number of points that `Classifier.prepare` made P of.

        Raises:
            InputError: the file tells nothing of its maxima, or its network has none.
        """
        return critical_points(
            self.shares(cloud[None])[0], cloud, resampled_rows(given, len(cloud))
        )

    def __reduce__(self) -> tuple[type["Explainer"], tuple[Artefact, int]]:
        return type(self), (self._artefact, self._threads)

    def shares(self, clouds: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the share (B, P) of each point of clouds (B, P, C) in the last maximum."""
        maxima, file = self._artefact.maxima, self._artefact.file
        if maxima is None:
            raise InputError(
                f"{file}: does not tell which points decide; export the model again with this "
                "version of pointcmt-export"
            )
        if maxima.last is None:
            raise InputError(
                f"{file}: its network has no maximum over the points of a cloud, so that no point "
                "wins"
            )
        told = self._open().run(clouds, indices=True).indices
        return shares(maxima, maxima.last, told, clouds.shape[1])

    def _open(self) -> "Session":
        with self._lock:
            if self._session is None:
                path = self._artefact.file
                if path.suffix.lower() != ".onnx" or self._artefact.precision in BESIDE:
                    path = find_file(path.parent, MODEL_FILE)
                tell = [] if self._artefact.maxima is None else self._artefact.maxima.tensors
                self._session = OnnxSession(path, Device("cpu"), self._threads, tell)
            return self._session
