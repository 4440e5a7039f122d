"""What runs in Triton's Python backend, with a stand-in for Triton's own module."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from pointcmt_serve.clouds import prepare
from pointcmt_serve.engines import open_session
from pointcmt_serve.triton import Network, Prepare
from tests.reference.tiny_student import METADATA, POINTS, tiny_model

Floats = NDArray[np.float32]
RAW = np.random.default_rng(0).normal(size=(3, 2 * POINTS, 3)).astype(np.float32)


class Refused(SimpleNamespace):
    INVALID_ARG = 3


@pytest.fixture(autouse=True)
def triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is its tensor, an answer its tensor or the sentence of its error."""

    def response(tensors: list[Floats], error: Refused | None = None) -> Any:
        return tensors[0] if error is None else error.text

    def refused(text: str, code: int) -> Refused:
        return Refused(text=text, code=code)

    refused.INVALID_ARG = Refused.INVALID_ARG  # type: ignore[attr-defined]
    module = SimpleNamespace(
        get_input_tensor_by_name=lambda request, _: SimpleNamespace(as_numpy=lambda: request),
        Tensor=lambda _, values: values,
        InferenceResponse=response,
        TritonError=refused,
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", module)


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "1").mkdir()
    onnx.save(tiny_model(METADATA), tmp_path / "1" / "model.onnx")
    known = {
        "points": str(POINTS),
        "normalization": "unit-sphere",
        "channels": "x, y, z",
        "version": "0",
        "engine": "onnxruntime",
    }
    parameters = {f"pointcmt.{key}": {"string_value": value} for key, value in known.items()}
    return {
        "model_name": "tiny",
        "model_config": json.dumps({"parameters": parameters}),
        "model_repository": str(tmp_path),
        "model_version": "1",
        "model_instance_kind": "CPU",
        "model_instance_device_id": "0",
    }


def test_clouds_are_prepared_as_the_classifier_does(
    arguments: dict[str, str], tmp_path: Path
) -> None:
    step = Prepare()
    step.initialize(arguments)
    still = np.zeros((1, 9, 3), np.float32)
    several, one, bad = step.execute([RAW, RAW[:1, :7], still])
    artefact = open_session(tmp_path / "1").artefact
    np.testing.assert_array_equal(several, np.stack([prepare(c, artefact, "c") for c in RAW]))
    np.testing.assert_array_equal(one[0], prepare(RAW[0, :7], artefact, "c"))
    assert bad.startswith("cloud 0: ")


def test_requests_are_run_together_and_answered_apart(
    arguments: dict[str, str], tmp_path: Path
) -> None:
    step = Network()
    step.initialize(arguments)
    clouds = RAW[:, :POINTS]
    infinite = np.full((1, POINTS, 3), np.inf, np.float32)
    expected = open_session(tmp_path / "1")(clouds)
    first, second = step.execute([clouds[:2], clouds[2:]])
    np.testing.assert_allclose(np.concatenate([first, second]), expected, atol=1e-6)
    good, bad = step.execute([clouds[:1], infinite])
    np.testing.assert_allclose(good, expected[:1], atol=1e-6)
    assert "not finite" in bad
    whole, half = step.execute([clouds[:1], clouds[:1, : POINTS // 2]])  # no batch of both
    np.testing.assert_allclose(whole, expected[:1], atol=1e-6)
    assert half.shape == expected[:1].shape
