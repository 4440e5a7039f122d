"""The last stage's end: which epoch's weights, and of which average, the network keeps."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import click
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pointcmt import ranks
from pointcmt_training.config import Config, StudentConfig
from pointcmt_training.folder import RunFolder, load_state, save_state
from pointcmt_training.loop import Loop
from pointcmt_training.reading import Record
from pointcmt_training.stages.common import epoch_order
from pointcmt_training.together import told

MUCH = 0.05  # of an average that are still the weights of the first step
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class HeldOut(Protocol[S_co]):
    """The splits that are not trained on."""

    @property
    def validation(self) -> S_co | None:
        """None where none is held out."""

    @property
    def test(self) -> S_co:
        """The test split."""


def train_and_keep(
    config: Config,
    inputs: "HeldOut[S]",
    folder: RunFolder,
    trained: nn.ModuleDict,
    step: Callable[[Tensor, int], dict[str, Tensor]],
    labels: Tensor,
    measure: Callable[[nn.Module, S], float],
    kind: str = "accuracy",
) -> list[Record]:
    """Train `trained`, whose "student" ends with the kept weights; return the history.

    Args:
        config: the run.
        inputs: the splits that are measured.
        folder: of the run.
        trained: all that has weights of its own.
        step: see `Loop`.
        labels: (n,), of the training clouds.
        measure: of a network on a split; the greater the better.
        kind: of measure, in the history.
    """
    schedule, student = config.training, trained["student"]
    average = weight_average(student, schedule.ema) if schedule.ema else None
    kept = average.module if average else student
    if average:
        trained["average"] = average
    best = folder.state("best")
    selection = Selection(config, inputs, kept, best, partial(measure, kept), kind)
    loop = Loop(
        "training",
        trained,
        schedule,
        len(labels),
        step,
        folder,
        config,
        selection,
        order=partial(epoch_order, config, labels),
        after_step=partial(average.update_parameters, student) if average else None,
        enough=selection.enough,
    )
    records = loop.run()
    selection.restore()
    student.load_state_dict(kept.state_dict())
    student.eval()
    return records


def tell_slow_average(schedule: StudentConfig, samples: int) -> None:
    """Say so where a moving average would keep much of what training begins with."""
    steps = schedule.epochs * (samples // schedule.batch_size)
    left = schedule.ema ** (steps - 1)
    if schedule.ema and left > MUCH and not ranks.rank():
        click.echo(
            f"Warning: training.ema={schedule.ema:g}: after {steps} steps {left:.0%} of the "
            "average are still the weights of the first; a smaller one forgets them sooner",
            err=True,
        )


def weight_average(network: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of weights and running statistics; it begins at them."""
    rule = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=rule, use_buffers=True).requires_grad_(False)


class Selection(Generic[S]):
    """Measures the held-out split now and then, and keeps the best epoch where one is selected.

    Where an epoch is selected, or ends training early, each is measured.

    Args:
        config: how often, and whether an epoch is selected.
        inputs: the splits.
        student: what is kept.
        path: where the best epoch stands.
        measure: of a split; the greater the better.
        kind: of measure, in the history.
    """

    def __init__(
        self,
        config: Config,
        inputs: HeldOut[S],
        student: nn.Module,
        path: Path,
        measure: Callable[[S], float],
        kind: str = "accuracy",
    ) -> None:
        self.schedule, self.student, self.path = config.training, student, path
        self.measure = measure
        self.selects = config.selected_on != ""
        validates = config.selected_on == "validation" or config.training.early_stop > 0
        self.split = inputs.validation if validates else inputs.test
        self.name = f"{'validation' if validates else 'test'}_{kind}"
        every = self.schedule.epochs // max(1, self.schedule.evaluations)
        self.every = 1 if self.selects or self.schedule.early_stop else max(1, every)
        self.best = told(lambda: load_state(path)["accuracy"] if path.is_file() else -1.0)

    def __call__(self, done: int) -> Record:
        """Return the measure of the epoch `done`, where one is due, by name."""
        due = done % self.every == 0 or done == self.schedule.epochs
        if self.split is None or not due:
            return {}
        overall = self.measure(self.split)
        if self.selects and overall > self.best:
            self.best = overall
            save_state(self.path, {"accuracy": overall, "student": self.student.state_dict()})
        return {self.name: overall}

    def enough(self, records: Sequence[Record]) -> bool:
        """Tell whether the recipe stops early here."""
        measured = [record for record in records if self.name in record]
        if not self.schedule.early_stop or not measured:
            return False
        best = max(measured, key=lambda record: record[self.name])
        return records[-1]["epoch"] - best["epoch"] >= self.schedule.early_stop

    def restore(self) -> None:
        """Give the student the weights of the best epoch, where one is selected."""
        if self.selects:
            self.student.load_state_dict(told(lambda: load_state(self.path)["student"]))
