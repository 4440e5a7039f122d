"""How often an epoch waits for the device, counted on `meta`, a device that computes nothing.

A copy from or to main memory, and any question to a tensor's numbers, would wait. The ops run
their own CUDA wrappers, whose kernels alone are left out.
"""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pointcmt.models import create_student
from pointcmt.ops import cuda
from pointcmt.ops.cuda import launching
from pointcmt_training import compute, inputs, loop
from pointcmt_training.config import Config
from pointcmt_training.distillation.method import Images
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs import Inputs
from pointcmt_training.inputs.split import Split
from pointcmt_training.loop import Loop
from pointcmt_training.reading import Record
from pointcmt_training.stages.generator import train_generator
from pointcmt_training.stages.student import train_student
from pointcmt_training.stages.teacher import train_teacher
from tests.training import made

SEARCHES = {"nonzero", "equal", "is_nonzero", "masked_select", "_unique2"}
ASKS = {"item", "__bool__", "__float__", "__int__", "__index__", "tolist", "numpy"}
META = torch.device("meta")
ONCE = ["tolist in loop.py"]  # the losses of an epoch, at its end
Count = Callable[[Callable[[], object]], list[str]]


def is_on_device(value: object) -> bool:
    return isinstance(value, Tensor) and value.device == META


class Waits(TorchDispatchMode):
    """Notes copies and searches, answers with a stand-in, and runs the ops' wrappers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: Any = None
    ) -> Any:
        named = named or {}
        name = function.overloadpacket.__name__
        if function.namespace == "pointcmt":
            return getattr(cuda, name)(*arguments)
        if name == "_to_copy" and "device" in named:
            there, here = named["device"] == META, is_on_device(arguments[0])
            if there != here:
                self.note(name)
                return torch.empty_like(arguments[0], device=named["device"])
        if name in SEARCHES and is_on_device(arguments[0]):
            self.note(name)
        return function(*arguments, **named)

    def note(self, what: str) -> None:
        lines = [f for f in traceback.extract_stack() if "/pointcmt" in f.filename]
        self.found.append(f"{what} in {Path(lines[-1].filename).name}:{lines[-1].lineno}")


class Questions(TorchFunctionMode):
    """Notes what asks a tensor for its numbers; they are all 1."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if name in ASKS and is_on_device(arguments[0]):
            self.waits.note(name)
            return [1.0] * arguments[0].numel() if name == "tolist" else 1
        return function(*arguments, **(named or {}))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Count:
    """Count the waits of the first epoch of a stage, of two steps."""
    monkeypatch.setattr(launching, "launch", lambda *_: None)
    monkeypatch.setattr(launching, "shared_limit", lambda _: 100_000)
    for module in (compute, inputs, loop):  # pinned memory, which is not waited for
        carried = lambda values, device: torch.empty_like(values, device=device)  # noqa: E731
        monkeypatch.setattr(module, "carried", carried)
    counted: list[list[str]] = []

    def one_epoch(self: Loop, *arguments: Any) -> Record:
        self.after_epoch = lambda _: {}
        with Waits() as mode, Questions(mode):
            original(self, *arguments)
        counted.append(mode.found)
        raise made.Interrupted

    original = Loop._epoch
    monkeypatch.setattr(Loop, "_epoch", one_epoch)

    def count(train: Callable[[], object]) -> list[str]:
        with pytest.raises(made.Interrupted):
            train()
        return [wait.partition(":")[0] for wait in counted[-1]]

    return count


def on_device(config: Config, unlabelled: int = 0) -> Inputs:
    """The made splits, without numbers."""
    found = made.inputs(config, unlabelled=unlabelled)

    def moved(split: Split) -> Split:
        points = torch.empty(len(split), 1024, 3, device=META)
        return Split(split.dataset, points, split.labels.to(META), split.config)

    return Inputs(moved(found.train), None, moved(found.test), moved(found.pool), 4)


def images() -> Images:
    classifier = nn.Linear(512, 3, device=META).requires_grad_(False)
    generator = nn.Sequential(
        nn.Linear(512, 30, device=META), nn.Unflatten(1, (10, 3))
    ).requires_grad_(False)
    return Images(classifier, generator, torch.empty(18, 512, device=META))


@pytest.mark.parametrize("student", ["pointnet2-msg", "rscnn"])
def test_a_students_steps_never_wait(student: str, waits: Count, tmp_path: Path) -> None:
    config = made.settings("distillation.balance=share", "augmentation.dropout=0.5")
    with META:
        network = create_student(student, 3)
    splits = on_device(config, unlabelled=6)
    found = waits(lambda: train_student(config, splits, RunFolder(tmp_path), network, images()))
    assert found == ONCE


def test_a_teachers_steps_never_wait(waits: Count, tmp_path: Path) -> None:
    config = made.settings("views.kind=projected-color", "teacher.parts=2")
    splits = on_device(config)
    vars(splits.train)["colors"] = torch.empty(12, 1024, 3, device=META)
    assert waits(lambda: train_teacher(config, splits, RunFolder(tmp_path), 512)) == ONCE


def test_a_generators_steps_never_wait(waits: Count, tmp_path: Path) -> None:
    config = made.settings()
    splits, features = on_device(config), torch.empty(12, 512, device=META)
    found = waits(lambda: train_generator(config, splits, RunFolder(tmp_path), features))
    assert found == ONCE
