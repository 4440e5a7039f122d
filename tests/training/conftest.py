"""A whole run on a few embedded shapes, trained once for all tests of it."""

from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from pointcmt_training import run as running
from pointcmt_training.recipe import load_config
from tests.training.tiny import TINY, Optimised


@pytest.fixture(scope="session")
def _whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Optimised]:
    optimised: Optimised = []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        group = optimizer.param_groups[0]
        optimised.append((type(optimizer), group["lr"], group["weight_decay"]))

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("run") / "whole"
    hook = register_optimizer_step_pre_hook(note)
    running.run(load_config("shapes", TINY), root)
    hook.remove()
    return root, optimised


@pytest.fixture
def finished(_whole: tuple[Path, Optimised]) -> Path:
    """An uninterrupted run."""
    return _whole[0]


@pytest.fixture
def optimised(_whole: tuple[Path, Optimised]) -> Optimised:
    """What optimised each of its steps."""
    return _whole[1]


@pytest.fixture
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "write_report", lambda *_: None)
