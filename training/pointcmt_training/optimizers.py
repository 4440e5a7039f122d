"""Building what a stage is optimised with, and setting it for each step."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pointcmt_training.config import Schedule


def build_optimizer(module: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Return the optimiser of the parameters that are trained."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    lr, decay = schedule.lr, schedule.weight_decay
    fused = any(p.is_cuda for p in parameters) or None  # one kernel, and none of its reads waits
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr, schedule.momentum, weight_decay=decay, fused=fused)
    kind = torch.optim.Adam if schedule.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, lr, weight_decay=decay, fused=fused)


def set_rates(
    optimizer: torch.optim.Optimizer,
    module: nn.Module,
    schedule: Schedule,
    passed: float,
    losses: Sequence[float],
) -> None:
    """Set the learning rate, and the momentum of batch norm where the recipe schedules it.

    Args:
        optimizer: of the stage.
        module: what it trains.
        schedule: the stage's section of the recipe.
        passed: epochs that are done, with the part of the running one that is.
        losses: the mean loss of each epoch that is done.
    """
    lr = schedule.schedule.value(schedule.lr, passed, schedule.epochs, losses)
    for group in optimizer.param_groups:
        group["lr"] = lr
    if schedule.norm_momentum is None:
        return
    momentum = schedule.norm_schedule.value(schedule.norm_momentum, passed, schedule.epochs, losses)
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            part.momentum = momentum
