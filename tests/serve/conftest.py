from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from tests.reference.tiny_student import METADATA, POINTS, tiny_model

WriteModel = Callable[..., Path]


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Write the tiny student, with entries of its metadata replaced (None removes one)."""

    def write(name: str = "model.onnx", **replaced: str | None) -> Path:
        metadata: dict[str, str | None] = dict(METADATA)
        metadata.update({f"pointcmt.{key}": value for key, value in replaced.items()})
        path = tmp_path / name
        kept = {key: value for key, value in metadata.items() if value is not None}
        onnx.save(tiny_model(kept), path)
        return path

    return write


@pytest.fixture
def model(write_model: WriteModel) -> Path:
    return write_model()


@pytest.fixture
def clouds() -> NDArray[np.float32]:
    """(5, 64, 3): clouds that are already centred in the unit sphere, as prepared ones are."""
    points = np.random.default_rng(1).normal(size=(5, POINTS, 3))
    points -= points.mean(axis=1, keepdims=True)
    points /= np.linalg.norm(points, axis=2).max(axis=1)[:, None, None]
    return points.astype(np.float32)
