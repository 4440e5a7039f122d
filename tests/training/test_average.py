"""The moving average of weights beside its formula; the logger's curves beside the history."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from pointcmt.errors import InputError
from pointcmt_training.config import StudentConfig
from pointcmt_training.folder import RunFolder
from pointcmt_training.log import require_log
from pointcmt_training.reading import read_history
from pointcmt_training.stages.keeping import tell_slow_average, weight_average
from pointcmt_training.stages.student import train_student
from tests.training import made

DECAY = 0.75


def train(folder: Path) -> made.PooledStudent:
    config = made.settings("method=none", f"training.ema={DECAY}", "training.evaluations=0")
    student = made.student()
    train_student(config, made.inputs(config), RunFolder(folder), student, None)  # type: ignore[arg-type]
    return student


def test_the_student_ends_with_the_average_of_its_weights(tmp_path: Path) -> None:
    steps: list[dict[str, torch.Tensor]] = []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        (group,) = optimizer.param_groups
        steps.append([p.detach().clone() for p in group["params"]])  # type: ignore[arg-type]

    hook = register_optimizer_step_post_hook(note)
    student = train(tmp_path)
    hook.remove()
    assert len(steps) == 6
    assert len(steps[0]) == len(list(student.parameters()))  # the average is not trained
    average = steps[0]
    for weights in steps[1:]:
        average = [DECAY * a + (1 - DECAY) * w for a, w in zip(average, weights, strict=True)]
    for ours, theirs in zip(student.parameters(), average, strict=True):
        torch.testing.assert_close(ours.data, theirs)
    assert not torch.equal(next(student.parameters()).data, steps[-1][0])


@pytest.mark.parametrize(
    ("decay", "epochs", "words"),
    [
        (0.999, 10, "training.ema=0.999: after 30 steps 97% of the average are still the weights"),
        (0.999, 1000, ""),
        (0.9, 10, ""),
        (0.0, 1, ""),
    ],
)
def test_an_average_that_keeps_the_first_weights_is_told(
    decay: float, epochs: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_slow_average(StudentConfig(ema=decay, epochs=epochs, batch_size=4), samples=15)
    said = capsys.readouterr().err
    assert words in said
    assert bool(said) == bool(words)


def test_running_statistics_are_averaged_too() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = weight_average(network, 0.5)
    for mean in (4.0, 8.0):  # the first update takes it as it is
        network.running_mean = torch.full((2,), mean)
        average.update_parameters(network)
    assert average.module.running_mean.tolist() == [6, 6]


def test_a_resumed_average_is_that_of_an_uninterrupted_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        made.interrupt_at(2, patch)
        with pytest.raises(made.Interrupted):
            train(tmp_path / "killed")
    made.assert_same_weights(train(tmp_path / "killed"), train(tmp_path / "whole"))


def test_tensorboard_gets_every_figure_of_the_history(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    config = made.settings("method=none", "log=tensorboard")
    folder = RunFolder(tmp_path)
    train_student(config, made.inputs(config), folder, made.student(), None)  # type: ignore[arg-type]
    (file,) = (tmp_path / "tensorboard" / "training").iterdir()
    found, content = {}, file.read_bytes()  # records of length, checksum, event, checksum
    while content:
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        content = content[16 + length :]
    for record in read_history(folder.history("training")):
        for name, value in record.items():
            if name != "epoch":
                assert found["training/" + name, record["epoch"]] == pytest.approx(value)


def test_a_logger_that_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'pointcmt\[tensorboard\]'"):
        require_log(made.settings("log=tensorboard"))
    require_log(made.settings())
