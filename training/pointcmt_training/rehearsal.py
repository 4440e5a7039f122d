"""A rehearsal: two small steps of each stage tell what the whole run would need."""

import contextlib
import copy
import dataclasses
import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from pointcmt.models.student import Student
from pointcmt_training.config import Config, Schedule
from pointcmt_training.distillation.method import Images
from pointcmt_training.distillation.self_training import SelfTraining
from pointcmt_training.folder import SECTIONS, RunFolder
from pointcmt_training.inputs import Inputs
from pointcmt_training.prepare import trained_sections
from pointcmt_training.reading import Record, read_history
from pointcmt_training.stages.generator import train_generator
from pointcmt_training.stages.student import train_student
from pointcmt_training.stages.teacher import teacher_features, train_teacher
from pointcmt_training.stages.teaching import earlier_student

CLOUDS = 4  # of a rehearsed step


@dataclass(frozen=True)
class Need:
    """What a stage would need, about.

    Attributes:
        seconds: of all its steps, evaluations apart.
        bytes: that a step holds for its gradients, beside the data.
    """

    seconds: float
    bytes: int


@dataclass
class Held:
    """Counts what autograd keeps from forward to backward; the largest step is remembered."""

    most: int = 0
    _now: dict[int, int] = field(default_factory=dict)
    _backward: bool = False

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count within the block."""
        with saved_tensors_hooks(self.keep, self.give):
            yield

    def keep(self, tensor: Tensor) -> Tensor:
        """Count a tensor that is saved; parameters are there anyway."""
        if self._backward:
            self._now.clear()
            self._backward = False
        if not (tensor.is_leaf and tensor.requires_grad):
            storage = tensor.untyped_storage()
            self._now[storage.data_ptr()] = storage.nbytes()
            self.most = max(self.most, sum(self._now.values()))
        return tensor

    def give(self, tensor: Tensor) -> Tensor:
        """Note that the backward pass has begun."""
        self._backward = True
        return tensor


def rehearse(config: Config, inputs: Inputs, student: Student) -> Mapping[str, Need]:
    """Train each stage for two steps of a few clouds, in a folder that is removed again.

    Returns:
        What each stage that the run would train needs, by its section; time and memory are taken
        to grow with the batch.
    """
    sections = trained_sections(config)
    few = min(CLOUDS, *(getattr(config, section).batch_size for section in sections))
    small, clouds = _small(config, few), _few(inputs, few)
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stderr(io.StringIO()):
        folder = RunFolder(Path(place))
        held = _trained(small, clouds, folder, copy.deepcopy(student))
        warm = {section: read_history(folder.history(section))[-1] for section in sections}
    return {
        section: _need(getattr(config, section), section, inputs, warm[section], held[section])
        for section in sections
    }


def _trained(
    config: Config, inputs: Inputs, folder: RunFolder, student: Student
) -> Mapping[str, Held]:
    """Train the stages; return what each held."""
    held = {section: Held() for section in SECTIONS}
    method, images = config.distillation, None
    if method.uses_images:
        with held["teacher"].counted():
            teacher = train_teacher(config, inputs, folder, student.feature_dim)
        features = teacher_features(config, teacher, inputs.pool, folder)
        with held["generator"].counted():
            generator = train_generator(config, inputs, folder, features)
        images = Images(teacher.classifier, generator, features)
    elif isinstance(method, SelfTraining):
        images = earlier_student(config, method.run, inputs)
    with held["training"].counted():
        train_student(config, inputs, folder, student, images)
    return held


def _need(schedule: Schedule, section: str, inputs: Inputs, warm: Record, held: Held) -> Need:
    """Scale what two small steps took to the whole stage."""
    few = min(CLOUDS, schedule.batch_size)
    unlabelled = inputs.unlabelled_batch if len(inputs.pool) > len(inputs.train) else 0
    size = schedule.batch_size + (unlabelled if section != "teacher" else 0)
    steps = schedule.epochs * (len(inputs.train) // schedule.batch_size)
    return Need(warm["wall_seconds"] * steps * size / few, held.most * size // few)


def _small(config: Config, few: int) -> Config:
    """Two epochs of one step of each stage, of which the second is warm."""
    sections = {
        name: dataclasses.replace(getattr(config, name), epochs=2, batch_size=few)
        for name in ("teacher", "generator", "training")
    }
    training = dataclasses.replace(sections.pop("training"), evaluations=0, early_stop=0)
    return dataclasses.replace(config, **sections, training=training, stages_from="", log="none")


def _few(inputs: Inputs, count: int) -> Inputs:
    train, test = inputs.train.first(count), inputs.test.first(count)
    return Inputs(train, train, test, train, inputs.unlabelled_batch)
