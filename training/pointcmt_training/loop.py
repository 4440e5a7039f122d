"""The loop that all three stages share: epochs, schedule, history, and resuming after a kill."""

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from pointcmt import ranks
from pointcmt.errors import InputError
from pointcmt.ops.tensors import finite_by_the_caller
from pointcmt_training.compute import autocast, begin_step, carried, scaler, set_up
from pointcmt_training.config import Config, Schedule
from pointcmt_training.folder import RunFolder, load_state, save_state, write_history
from pointcmt_training.log import open_log
from pointcmt_training.optimizers import build_optimizer, set_rates
from pointcmt_training.reading import Record
from pointcmt_training.together import in_parallel, told

Losses = dict[str, Tensor]


@dataclass
class Loop:
    """One stage's training.

    All randomness of an epoch follows from (seed, section, epoch), so that a run which was killed
    and resumed from the last saved epoch gives the same weights as one that was not.

    Attributes:
        section: the stage's section of the recipe, which also names its history and state.
        module: what is trained and saved.
        schedule: epochs, batch size, optimiser.
        samples: n, the number of training samples.
        step: (indices (B,) int64, epoch) -> losses by name; "loss" is minimised, all are recorded.
        folder: the run's folder.
        config: for the seed and how often the state is saved.
        after_epoch: number of epochs done -> measures to add to the record of the epoch.
        order: draws the samples of an epoch, (n,) int64; by default each once.
        after_step: called when the optimiser has made a step.
        enough: the records so far -> whether to stop before the last epoch.
    """

    section: str
    module: nn.Module
    schedule: Schedule
    samples: int
    step: Callable[[Tensor, int], Losses]
    folder: RunFolder
    config: Config
    after_epoch: Callable[[int], Record] = lambda _: {}
    order: Callable[[], Tensor] | None = None
    after_step: Callable[[], None] | None = None
    enough: Callable[[list[Record]], bool] = lambda _: False
    records: list[Record] = field(default_factory=list)

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    def run(self) -> list[Record]:
        """Train to the end and return the history, one record an epoch."""
        set_up(self.config.compute)
        optimizer = build_optimizer(self.module, self.schedule)
        self._scaler = scaler(self.config.compute, self._device)
        self._resume(optimizer)
        self._run_step = in_parallel(self.module, self.step, self.config.compute.sync_batch_norm)
        saved = time.monotonic()
        steps = self.samples // self.schedule.batch_size
        done = len(self.records)
        with (
            open_log(self.config, self.folder, self.section, done) as log,
            _progress(self.section, self.schedule.epochs * steps, done * steps) as bar,
        ):
            for epoch in range(done, self.schedule.epochs):
                if self.enough(self.records):
                    break
                self.records.append(self._epoch(epoch, optimizer, bar))
                log(self.records[-1])
                if time.monotonic() - saved >= self.config.checkpoint_seconds:
                    self._save(optimizer)
                    saved = time.monotonic()
        write_history(self.folder.history(self.section), self.records)
        return self.records

    def _epoch(self, epoch: int, optimizer: torch.optim.Optimizer, bar: "tqdm[Any]") -> Record:
        wall, cpu = time.perf_counter(), time.process_time()
        torch.manual_seed(zlib.crc32(f"{self.config.seed}/{self.section}/{epoch}".encode()))
        self.module.train()
        sums: Losses = {}
        order = self.order() if self.order else torch.randperm(self.samples)
        parts = batches(carried(order, self._device), self.schedule.batch_size)
        past = [record["loss"] for record in self.records]
        for place, indices in enumerate(parts):
            set_rates(optimizer, self.module, self.schedule, epoch + place / len(parts), past)
            for name, value in self._update(indices, epoch, optimizer).items():
                sums[name] = sums[name] + value.detach() if name in sums else value.detach()
            bar.update()
        means = torch.stack(list(sums.values())).tolist()  # the one time that the device is awaited
        record = {name: one / len(parts) for name, one in zip(sums, means, strict=True)}
        if not math.isfinite(record["loss"]):
            raise self._diverged(epoch)
        record |= self.after_epoch(epoch + 1)
        bar.set_postfix({k: f"{v:.3g}" for k, v in record.items()})
        seconds = {
            "wall_seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
        }
        return {"epoch": epoch + 1, **record, **seconds}

    def _update(self, indices: Tensor, epoch: int, optimizer: torch.optim.Optimizer) -> Losses:
        """Make one step, without waiting for the device."""
        begin_step(self.config.compute)
        losses = self._step(indices, epoch)
        optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(losses["loss"]).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(optimizer)
        self._scaler.update()
        if self.after_step:
            self.after_step()
        return losses

    def _step(self, indices: Tensor, epoch: int) -> Losses:
        try:
            with autocast(self.config.compute, self._device), finite_by_the_caller():
                return self._run_step(indices, epoch)
        except ValueError as error:
            if "must be finite" not in str(error):  # an op's refusal of a cloud
                raise
            raise self._diverged(epoch) from error

    def _diverged(self, epoch: int) -> InputError:
        key = f"{self.section}.lr"
        return InputError(
            f"{self.section}: the loss is not finite in epoch {epoch + 1}; lower {key}, "
            f"{self.schedule.lr:g}"
        )

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        state = {
            "module": self.module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "records": self.records,
            "scaler": self._scaler.state_dict(),
        }
        save_state(self.folder.state(self.section), state)
        write_history(self.folder.history(self.section), self.records)

    def _resume(self, optimizer: torch.optim.Optimizer) -> None:
        path = self.folder.state(self.section)
        state = told(lambda: load_state(path) if path.is_file() else None)
        if state is not None:
            try:
                self.module.load_state_dict(state["module"])
                optimizer.load_state_dict(state["optimizer"])
                self.records = state["records"]
                self._scaler.load_state_dict(state["scaler"])
            except (KeyError, RuntimeError, ValueError) as error:
                where = f"{path}: is not the state of this stage"
                raise InputError(f"{where}; remove it to start the stage again") from error


def require_batch(section: str, schedule: Schedule, samples: int) -> None:
    """Refuse batches larger than the data, before any stage is trained.

    Raises:
        InputError: there are fewer samples than one batch holds.
    """
    if schedule.batch_size < ranks.world():
        raise InputError(
            f"{section}.batch_size={schedule.batch_size}: must be at least the {ranks.world()} "
            "processes"
        )
    if samples < schedule.batch_size:
        raise InputError(
            f"{section}.batch_size={schedule.batch_size}: must be at most the {samples} training "
            "samples"
        )


def batches(order: Tensor, size: int) -> tuple[Tensor, ...]:
    """Cut an order (n,) into batches (size,); the last, smaller one is dropped."""
    return torch.split(order[: len(order) // size * size], size)


def _progress(section: str, total: int, initial: int) -> "tqdm[Any]":
    return tqdm(
        total=total,
        initial=initial,
        desc=f"{section:9}",
        unit="step",
        mininterval=0.5,
        disable=ranks.rank() > 0,
    )
