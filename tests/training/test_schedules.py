"""Schedules beside PyTorch's own, epoch by epoch and step by step, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LRScheduler,
    ReduceLROnPlateau,
    StepLR,
)

from pointcmt.errors import InputError
from pointcmt_training.config import Schedule
from pointcmt_training.optimizers import build_optimizer, set_rates
from pointcmt_training.recipe import load_config
from pointcmt_training.schedules import SCHEDULES, Decay

START, EPOCHS = 0.1, 14


def schedule(text: str) -> Decay:
    words = [f"training.lr={START}", f"training.schedule={text}"]
    return load_config("shapes", words).training.schedule


def theirs(build: Callable[[torch.optim.Optimizer], LRScheduler]) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], START)
    scheduler, rates = build(optimizer), []
    for _ in range(EPOCHS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("text", "build"),
    [
        ("{kind: cosine, floor: 0.01}", lambda o: CosineAnnealingLR(o, EPOCHS, 0.01)),
        ("cosine", lambda o: CosineAnnealingLR(o, EPOCHS)),
        ("{kind: steps, every: 3, factor: 0.7}", lambda o: StepLR(o, 3, 0.7)),
        (
            "{kind: restarts, first: 2, growth: 2, floor: 0.01}",
            lambda o: CosineAnnealingWarmRestarts(o, 2, 2, 0.01),
        ),
        ("constant", lambda o: StepLR(o, 99)),
    ],
)
def test_a_schedule_is_pytorchs_epoch_by_epoch(
    text: str, build: Callable[[torch.optim.Optimizer], LRScheduler]
) -> None:
    own = schedule(text)
    ours = [own.value(START, epoch, EPOCHS, []) for epoch in range(EPOCHS)]
    assert ours == pytest.approx(theirs(build))


def test_a_plateau_is_pytorchs_on_the_same_losses() -> None:
    losses = [3, 2, 2, 2, 2, 1.9999, 1.5, 1.5, 1.6, 1.7, 1.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    own = schedule("{kind: plateau, factor: 0.5, patience: 2, floor: 0.02}")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], START)
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=2, min_lr=0.02)
    for done, loss in enumerate(losses):
        ours = own.value(START, done, 99, losses[:done])
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])
        scheduler.step(loss)
    assert own.value(START, 0, 99, losses) < START / 2


def test_steps_end_at_their_floor() -> None:
    own = schedule("{kind: steps, every: 1, factor: 0.1, floor: 0.004}")
    assert own.value(START, 9, EPOCHS, []) == 0.004


def test_a_value_goes_on_within_an_epoch_only_if_asked() -> None:
    by_epoch, by_step = schedule("cosine"), schedule("{kind: cosine, per: step}")
    assert by_epoch.value(START, 3.75, EPOCHS, []) == by_epoch.value(START, 3, EPOCHS, [])
    assert by_step.value(START, 7, EPOCHS, []) == pytest.approx(START / 2)
    assert by_step.value(START, 3.75, EPOCHS, []) < by_step.value(START, 3, EPOCHS, [])


def test_the_rates_reach_optimiser_and_batch_norm() -> None:
    config = load_config("modelnet40_rscnn").training
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    optimizer = build_optimizer(module, config)
    assert isinstance(optimizer, torch.optim.Adam)
    for epoch, rate, momentum in ((0, 1e-3, 0.9), (21, 7e-4, 0.45), (199, 4.0353607e-5, 0.01)):
        set_rates(optimizer, module, config, epoch, [])
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)
        assert module[1].momentum == pytest.approx(momentum)


def test_batch_norm_is_left_alone_unless_asked() -> None:
    module = nn.BatchNorm1d(2, momentum=0.3)
    set_rates(build_optimizer(module, Schedule()), module, Schedule(), 4, [])
    assert module.momentum == 0.3


def test_sgds_momentum_is_the_recipes() -> None:
    config = load_config("modelnet40_dgcnn", ["training.momentum=0.5"]).training
    group = build_optimizer(nn.Linear(2, 2), config).param_groups[0]
    assert (group["momentum"], group["weight_decay"], group["lr"]) == (0.5, 1e-4, 0.1)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_every_kind_reads_back_from_its_own_yaml(kind: str, tmp_path: Path) -> None:
    config = load_config("shapes", [f"teacher.schedule={kind}"])
    assert type(config.teacher.schedule) is SCHEDULES[kind]
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert load_config(str(tmp_path / "config.yaml")) == config


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (
            "training.schedule={kind: steps, everi: 3}",
            "training.schedule.everi; did you mean every",
        ),
        ("training.schedule={kind: cosine, every: 3}", "unknown key training.schedule.every"),
        ("training.schedule=cosin", "must be one of cosine, restarts"),
        ("training.schedule=3", "must be a mapping with a kind"),
        ("training.schedule={kind: steps, every: 0}", "training.schedule.every=0"),
        ("training.schedule={kind: steps, factor: 2}", "training.schedule.factor=2"),
        ("training.schedule={kind: cosine, per: batch}", "training.schedule.per='batch'"),
        ("training.optimizer=lion", "training.optimizer='lion': must be 'adam'"),
        ("training.optimizer.lr=3", "training.optimizer"),
        ("training.norm_schedule={kind: steps, everi: 3}", "training.norm_schedule.everi"),
    ],
)
def test_an_unknown_key_or_kind_is_one_sentence(word: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config("shapes", [word])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
