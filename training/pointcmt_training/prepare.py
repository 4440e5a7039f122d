"""What a run needs before its first stage, checked as a whole: device, data, networks."""

import torch

from pointcmt import ranks
from pointcmt.errors import InputError
from pointcmt.models import create_student
from pointcmt.models.student import Student
from pointcmt_training.config import Config
from pointcmt_training.distillation.self_training import SelfTraining
from pointcmt_training.folder import SECTIONS
from pointcmt_training.inputs import Inputs, load_inputs
from pointcmt_training.log import require_log
from pointcmt_training.loop import require_batch
from pointcmt_training.stages.common import seeded
from pointcmt_training.stages.keeping import tell_slow_average
from pointcmt_training.stages.teacher import build_teacher
from pointcmt_training.stages.teaching import load_earlier, other_run
from pointcmt_training.trial import require_running


def prepare(config: Config) -> tuple[Inputs, Student]:
    """Read the data and build the student.

    Raises:
        InputError: the device or data is unusable, the student cannot be run or needs more points
            than a cloud has, the teacher cannot be built, a stage's batch is larger than the
            training split, the axis to rotate about is not known, the student to learn from or the
            run whose stages are taken does not fit, or the logger is not installed.
    """
    require_log(config)
    device = pick_device(config.device)
    if config.compute.cuda_graphs and device.type != "cuda":
        raise InputError(f"compute.cuda_graphs=true: needs a GPU, and the device is {device}")
    inputs = load_inputs(config, device)
    require_axis(config, inputs)
    for section in trained_sections(config):
        require_batch(section, getattr(config, section), len(inputs.train))
    tell_slow_average(config.training, len(inputs.train))
    _require_student(config, inputs)
    student = _student(config, inputs)
    if not ranks.rank():
        _require_earlier(config, inputs, student)
    if "teacher" in trained_sections(config):
        build_teacher(config, inputs, student.feature_dim)  # for its refusals; stage I builds anew
    return inputs, student


def _require_earlier(config: Config, inputs: Inputs, student: Student) -> None:
    """Refuse other runs that do not fit; only the first rank need have their folders."""
    if isinstance(config.distillation, SelfTraining):
        load_earlier(config, config.distillation.run, inputs)
    if config.stages_from and config.distillation.uses_images:
        other_run(config, inputs, student.feature_dim)


def _student(config: Config, inputs: Inputs) -> Student:
    classes = len(inputs.classes)
    return seeded(config.seed, lambda: create_student(config.student, classes, **config.options))


def _require_student(config: Config, inputs: Inputs) -> None:
    """Build a student to try, so that the one that is trained is untouched."""
    student, clouds = _student(config, inputs), inputs.train.points
    if clouds.shape[1] < student.min_points:
        raise InputError(
            f"data.points={clouds.shape[1]}: must be at least {student.min_points}, what "
            f"{config.student} needs with these options"
        )
    require_running(student, config.student, clouds[:2])
    schedule = config.training
    if schedule.parts > 1 and schedule.batch_size < 2 * schedule.parts:
        try:
            require_running(student, config.student, clouds[:1])
        except InputError as error:
            raise InputError(
                f"training.parts={schedule.parts}: a part is one cloud; {error}"
            ) from error


def require_axis(config: Config, inputs: Inputs) -> None:
    """Refuse to rotate about the vertical of clouds that state none.

    Raises:
        InputError: the axis is not known.
    """
    if config.augmentation.rotate == "vertical" and inputs.train.dataset.up is None:
        own = "name it with data.up" if config.data.name == "folder" else "use rotate=any"
        raise InputError(
            f"augmentation.rotate=vertical: {inputs.train.dataset.name} states no vertical axis; "
            f"{own}"
        )


def trained_sections(config: Config) -> tuple[str, ...]:
    """Return the sections of the stages that this run trains itself."""
    teaches = config.distillation.uses_images and not config.stages_from
    return SECTIONS if teaches else SECTIONS[-1:]


def pick_device(name: str) -> torch.device:
    """Return the named device; "auto" is a GPU where there is one.

    Raises:
        InputError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        values = torch.zeros(1, device=name)
        values.item()  # which a device without memory of its own has not
        return values.device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device={name}: not usable here; use cpu, cuda or auto") from error
