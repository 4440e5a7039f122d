"""What Triton's Python backend runs of an ensemble: the preparation of clouds, and a network.

`model.py` in a Triton model's folder gives one of these classes the name that Triton looks for.
Triton's module `triton_python_backend_utils` exists in its own processes alone.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.artefact import Artefact
from pointcmt_serve.clouds import prepare
from pointcmt_serve.engines import open_session

Arguments = dict[str, str]


class Prepare:
    """Answers `points`, raw clouds (B, N, C), with `prepared` ones (B, points, C)."""

    def initialize(self, args: Arguments) -> None:
        """Read from the model's configuration how its clouds are prepared."""
        known = _parameters(args)
        self._artefact = Artefact(
            file=Path(args["model_name"]),
            classes=(),
            points=int(known["pointcmt.points"]),
            normalization=known["pointcmt.normalization"],
            student="",
            version=known["pointcmt.version"],
            provenance={},
            channels=tuple(known["pointcmt.channels"].split(", ")),
        )

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request by itself: clouds of two may differ in size."""
        answers = []
        for request in requests:
            try:
                answers.append(_answer("prepared", self._prepared(_points(request))))
            except InputError as error:
                answers.append(_refusal(error))
        return answers

    def _prepared(self, clouds: NDArray[np.float32]) -> NDArray[np.float32]:
        named = [prepare(cloud, self._artefact, f"cloud {i}") for i, cloud in enumerate(clouds)]
        return np.stack(named)  # (B, points, C)


class Network:
    """Answers `points`, prepared clouds (B, points, C), with `logits` (B, K)."""

    def initialize(self, args: Arguments) -> None:
        """Open the student beside `model.py`.

        Raises:
            InputError: it cannot be opened here.
        """
        folder = Path(args["model_repository"]) / args["model_version"]
        gpu = args["model_instance_kind"] == "GPU"
        device = f"cuda:{args['model_instance_device_id']}" if gpu else "cpu"
        self._session = open_session(folder, _parameters(args)["pointcmt.engine"], device)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Run the clouds of all requests together; where that fails, each request alone."""
        clouds = [_points(request) for request in requests]
        try:
            logits = self._session(np.concatenate(clouds))
        except (InputError, ValueError) as error:
            if len(requests) == 1:
                return [_refusal(error)]
            return [answer for request in requests for answer in self.execute([request])]
        ends = np.cumsum([len(each) for each in clouds])[:-1]
        return [_answer("logits", each) for each in np.split(logits, ends)]


def _parameters(args: Arguments) -> dict[str, str]:
    found = json.loads(args["model_config"])["parameters"]
    return {key: value["string_value"] for key, value in found.items()}


def _points(request: Any) -> NDArray[np.float32]:
    import triton_python_backend_utils as triton

    points: NDArray[np.float32] = triton.get_input_tensor_by_name(request, "points").as_numpy()
    return points


def _answer(name: str, values: NDArray[np.float32]) -> Any:
    import triton_python_backend_utils as triton

    return triton.InferenceResponse([triton.Tensor(name, values)])


def _refusal(error: Exception) -> Any:
    import triton_python_backend_utils as triton

    refused = triton.TritonError(str(error), triton.TritonError.INVALID_ARG)
    return triton.InferenceResponse([], refused)
