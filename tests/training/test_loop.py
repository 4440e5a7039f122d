"""The loop of all stages: the optimiser and learning rate of every step, records, and refusals."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from pointcmt.errors import InputError
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.loop import Loop
from pointcmt_training.reading import read_history
from tests.training import made

Step = tuple[type, dict[str, object]]


@pytest.fixture
def optimised() -> Iterator[list[Step]]:
    """Kind and settings of the optimiser in every step."""
    steps: list[Step] = []
    names = ("lr", "weight_decay", "momentum", "betas")

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        (group,) = optimizer.param_groups
        steps.append((type(optimizer), {name: group[name] for name in names if name in group}))

    hook = register_optimizer_step_pre_hook(note)
    yield steps
    hook.remove()


def loop(config: Config, folder: Path, samples: int = 10, scale: float = 1.0) -> Loop:
    module = nn.Linear(1, 1)

    def step(indices: Tensor, epoch: int) -> dict[str, Tensor]:
        loss = module(indices[:, None].float()).square().mean()
        return {"loss": scale * loss, "epoch_seen": torch.tensor(float(epoch))}

    return Loop("training", module, config.training, samples, step, RunFolder(folder), config)


@pytest.mark.parametrize(
    ("name", "kind", "rest"),
    [
        ("adam", torch.optim.Adam, {"betas": (0.9, 0.999)}),
        ("adamw", torch.optim.AdamW, {"betas": (0.9, 0.999)}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_every_step_has_the_recipes_optimiser_and_the_cosines_rate(
    name: str, kind: type, rest: dict[str, object], optimised: list[Step], tmp_path: Path
) -> None:
    config = made.settings(
        f"training.optimizer={name}",
        "training.epochs=6",
        "training.lr=0.02",
        "training.weight_decay=0.03",
    )
    loop(config, tmp_path).run()
    rates = [0.01 * (1 + math.cos(math.pi * epoch / 6)) for epoch in range(6) for _ in range(2)]
    assert [step[0] for step in optimised] == 12 * [kind]
    assert [step[1]["lr"] for step in optimised] == pytest.approx(rates)
    assert all(step[1] == {"lr": step[1]["lr"], "weight_decay": 0.03, **rest} for step in optimised)


def test_a_rate_by_step_goes_on_within_an_epoch(optimised: list[Step], tmp_path: Path) -> None:
    words = ("training.epochs=3", "training.lr=0.02", "training.schedule={kind: cosine, per: step}")
    loop(made.settings(*words), tmp_path).run()  # two steps an epoch
    rates = [0.01 * (1 + math.cos(math.pi * step / 6)) for step in range(6)]
    assert [step[1]["lr"] for step in optimised] == pytest.approx(rates)


def test_a_resumed_loop_goes_on_with_its_rate_and_its_optimisers_memory(
    optimised: list[Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = made.settings("training.epochs=5", "training.optimizer=sgd")
    torch.manual_seed(0)
    whole = loop(config, tmp_path / "whole")
    whole.run()
    expected = [step[1]["lr"] for step in optimised]
    optimised.clear()
    torch.manual_seed(0)
    killed = loop(config, tmp_path / "killed")
    with monkeypatch.context() as patch:
        made.interrupt_at(4, patch)
        with pytest.raises(made.Interrupted):
            killed.run()
    optimised.clear()
    resumed = loop(config, tmp_path / "killed")
    records = resumed.run()
    assert [step[1]["lr"] for step in optimised] == expected[6:]
    made.assert_same_weights(resumed.module, whole.module)
    assert [record["epoch"] for record in records] == [1, 2, 3, 4, 5]


def test_a_resumed_loop_scales_fp16s_gradients_as_before(tmp_path: Path) -> None:
    config = made.settings("compute.precision=fp16")
    first, again = loop(config, tmp_path), loop(config, tmp_path)
    first.run()
    again.run()
    scales = first._scaler.state_dict()
    assert scales["scale"] < 2**16  # what it begins with is too much for these losses
    assert again._scaler.state_dict() == scales


def test_a_record_is_the_mean_over_the_epochs_steps(tmp_path: Path) -> None:
    config = made.settings("training.lr=1e-30", "training.weight_decay=0", "training.epochs=2")
    torch.manual_seed(0)
    one = loop(config, tmp_path)
    with torch.no_grad():
        values = one.module(torch.arange(10.0)[:, None]).square().mean()
    records = one.run()
    assert [r["loss"] for r in records] == pytest.approx(2 * [values.item()], rel=1e-5)
    assert [r["epoch_seen"] for r in records] == [0, 1]
    assert read_history(tmp_path / "history" / "training.jsonl") == records
    assert all(r["wall_seconds"] > 0 for r in records)


@pytest.mark.parametrize("seconds", [0, 1000])
def test_the_state_is_saved_as_often_as_asked(seconds: int, tmp_path: Path) -> None:
    config = made.settings(f"checkpoint_seconds={seconds}")
    loop(config, tmp_path).run()
    assert (tmp_path / "state" / "training.pt").is_file() == (seconds == 0)


def test_a_loss_that_is_not_finite_ends_the_stage_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"training: the loss is not finite in epoch 1"):
        loop(made.settings(), tmp_path, scale=math.inf).run()


def test_an_op_that_refuses_what_is_not_finite_is_a_divergence(tmp_path: Path) -> None:
    """As the matching does, which takes finite clouds only."""
    one = loop(made.settings(), tmp_path)

    def step(indices: Tensor, epoch: int) -> dict[str, Tensor]:
        raise ValueError("x must be finite, but holds NaN or infinity")

    one.step = step
    with pytest.raises(InputError, match=r"not finite in epoch 1; lower training\.lr, 0\.002"):
        one.run()


def test_a_steps_own_mistake_is_not_taken_for_a_divergence(tmp_path: Path) -> None:
    one = loop(made.settings(), tmp_path)

    def step(indices: Tensor, epoch: int) -> dict[str, Tensor]:
        raise ValueError("a mistake")

    one.step = step
    with pytest.raises(ValueError, match="a mistake") as caught:
        one.run()
    assert not isinstance(caught.value, InputError)
