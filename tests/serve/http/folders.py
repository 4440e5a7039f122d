"""Folders of models for tests to write, and waiting until a server has followed them."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from pointcmt.files import write_beside
from tests.reference.tiny_student import METADATA, WEIGHT, tiny_model

POLL = 0.05


def write(folder: Path, scale: float = 1.0, student: str = "tiny") -> None:
    """Write an export as pointcmt-export does: beside, then renamed."""
    with write_beside(folder) as fresh:
        fresh.mkdir()
        metadata = METADATA | {"pointcmt.student": student}
        onnx.save(tiny_model(metadata, WEIGHT * np.float32(scale)), fresh / "model.onnx")


def wait_for(condition: Callable[..., object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
