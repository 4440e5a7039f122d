"""The emulated device in place of a GPU."""

from pathlib import Path

import pytest
import torch

from pointcmt.ops.cuda import launching
from tests.ops.cuda.emulation import Emulator, require_compiler


@pytest.fixture
def emulator(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulated device that serves the cuda backend's launches for the time of a test."""
    require_compiler()
    assert pytestconfig.cache is not None
    folder = Path(pytestconfig.cache.mkdir("emulator"))
    device = Emulator(folder)
    monkeypatch.setattr(launching, "launch", device.launch)
    monkeypatch.setattr(launching, "shared_limit", lambda _: device.shared_bytes)
    return device


@pytest.fixture
def generator() -> torch.Generator:
    """A source of random numbers with a fixed seed."""
    return torch.Generator().manual_seed(7)
