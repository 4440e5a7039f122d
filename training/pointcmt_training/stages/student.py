"""Stage III: the student, with feature and classifier enhancement (Section 3.4)."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pointcmt import ranks
from pointcmt.metrics import Accuracy
from pointcmt.models.dropout import undropped
from pointcmt.models.student import Student
from pointcmt_training.compute import compiled, encoded
from pointcmt_training.config import Config
from pointcmt_training.distillation.method import Batch, Images
from pointcmt_training.evaluate import evaluate
from pointcmt_training.folder import Record, RunFolder, load_state, save_state
from pointcmt_training.inputs import Inputs, Split
from pointcmt_training.loop import Loop
from pointcmt_training.stages.common import augmented, epoch_order, loss_weights, share_right
from pointcmt_training.together import told


def train_student(
    config: Config, inputs: Inputs, folder: RunFolder, student: Student, images: Images | None
) -> list[Record]:
    """Train the student; without `images` this is the control by the same recipe.

    The student ends with the weights of the selected epoch. Returns the history.
    """
    train, schedule = inputs.train, config.training
    method = config.distillation.loss(images) if images else None
    network = cast(nn.Module, student)
    trained = nn.ModuleDict({"student": network})
    if method:
        trained["method"] = method
    trained.to(train.points.device)
    weights = loss_weights(config, train.labels, len(inputs.classes))

    encode = compiled(student.encode, config.compute)

    def read_whole(features: Tensor) -> Tensor:
        with undropped(network):
            return student.classify(features)

    def step(indices: Tensor, epoch: int) -> dict[str, Tensor]:
        drawn = inputs.drawn(indices) if method else indices
        labels, smoothing = train.labels[indices], schedule.label_smoothing
        read = partial(augmented, inputs.pool, epoch=epoch, config=config)
        features = ranks.shared(
            lambda mine: encoded(network, encode, read, mine, schedule.parts), drawn
        )  # (B + U, D)
        logits = student.classify(features)  # (B + U, C)
        known = logits[: len(labels)]  # (B, C)
        entropy = F.cross_entropy(known, labels, weights, label_smoothing=smoothing)
        parts = {"cross_entropy": entropy}
        if images and method:
            batch = Batch(
                features,
                logits,
                images.features[drawn],
                labels,
                read_whole,
                parts["cross_entropy"],
                smoothing,
                (epoch + 1) / schedule.epochs,
            )
            parts |= method(batch)
        total = torch.stack(list(parts.values())).sum()
        return {"loss": total, **parts, "accuracy": share_right(known, labels)}

    average = weight_average(network, schedule.ema) if schedule.ema else None
    kept = cast(Student, average.module) if average else student
    if average:
        trained["average"] = average
    selection = Selection(
        config,
        inputs,
        cast(nn.Module, kept),
        folder.state("best"),
        lambda split: student_accuracy(kept, split).overall,
    )
    loop = Loop(
        "training",
        trained,
        schedule,
        len(train),
        step,
        folder,
        config,
        selection,
        order=partial(epoch_order, config, train.labels),
        after_step=partial(average.update_parameters, network) if average else None,
        enough=selection.enough,
    )
    records = loop.run()
    selection.restore()
    student.load_state_dict(kept.state_dict())
    student.eval()
    return records


def weight_average(network: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of weights and running statistics; it begins at them."""
    rule = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=rule, use_buffers=True).requires_grad_(False)


def student_accuracy(student: Student, split: Split) -> Accuracy:
    """Measure the student on the clouds of a split."""
    labels = split.labels.cpu()
    return evaluate(student, lambda i: student(split.points[i]), labels, student.num_classes)


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


class Selection(Generic[S]):
    """Measures the held-out split now and then, and keeps the best epoch where one is selected.

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
        self.every = 1 if config.protocol == "paper" else max(1, every)
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
