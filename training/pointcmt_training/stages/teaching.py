"""Stages I and II of a run, trained here or taken from another run."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import safetensors

from pointcmt.checkpoint import load_student
from pointcmt.description import read_config
from pointcmt.errors import InputError
from pointcmt.models.student import Student
from pointcmt.teacher.generator import PointGenerator
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt_training.config import Config
from pointcmt_training.distillation.method import Images
from pointcmt_training.evaluate import map_batches
from pointcmt_training.folder import RunFolder, write_json
from pointcmt_training.inputs import Inputs
from pointcmt_training.reading import read_json
from pointcmt_training.recipe import difference, load_config
from pointcmt_training.stages.common import require_same_clouds
from pointcmt_training.stages.generator import train_generator
from pointcmt_training.stages.teacher import teacher_accuracy, teacher_features, train_teacher
from pointcmt_training.together import told

TEACHING = ("data", "views", "teacher", "generator")  # the sections stages I and II follow from


@dataclass(frozen=True)
class Teaching:
    """What stages I and II left.

    Attributes:
        teacher: image encoder and classifier, frozen.
        generator: the CMPG, frozen.
        images: the parts that a method sees, with the features of all training clouds.
        result: the teacher's accuracies on the test split.
    """

    teacher: MultiViewTeacher
    generator: PointGenerator
    images: Images
    result: dict[str, float]


def teach(config: Config, inputs: Inputs, folder: RunFolder, feature_dim: int) -> Teaching:
    """Train stages I and II, or load what is finished, here or in `config.stages_from`.

    Args:
        config: the whole run.
        inputs: the splits.
        folder: the run's own folder.
        feature_dim: D, the size of the student's feature, which the teacher's must have.

    Raises:
        InputError: the stages of the other run are unfinished or were trained otherwise.
    """
    source = folder
    if config.stages_from:
        source = told(lambda: other_run(config, inputs, feature_dim))
    teacher = train_teacher(config, inputs, source, feature_dim)
    features = teacher_features(config, teacher, inputs.pool, folder, source)
    generator = train_generator(config, inputs, source, features)
    measured = measures(source)
    result = told(lambda: read_json(measured) if measured.is_file() else None)
    if result is None:
        result = teacher_accuracy(teacher, inputs.test).summary()
        write_json(measured, result)
    return Teaching(teacher, generator, Images(teacher.classifier, generator, features), result)


def measures(folder: RunFolder) -> Path:
    """Return where the teacher's accuracies stand, the last that stages I and II write."""
    return folder.root / "teacher" / "accuracy.json"


def earlier_student(config: Config, run: str, inputs: Inputs) -> Images:
    """Return an earlier student in place of the teacher, for self-training.

    Args:
        config: the run that learns, whose own class as `student` may be loaded.
        run: the folder of the earlier one's run.
        inputs: the splits; its features of the training clouds are taken without augmentation.

    Raises:
        InputError: see `load_earlier`.
    """
    student = told(lambda: load_earlier(config, run, inputs))
    points = inputs.pool.points
    student.to(points.device).eval()
    for parameter in student.parameters():
        parameter.requires_grad_(False)
    features = map_batches(student, lambda i: student.encode(points[i]), len(points))
    return Images(student.classify, None, features.to(points.device))


def load_earlier(config: Config, run: str, inputs: Inputs) -> Student:
    """Load the student of the run that self-training learns from; of several ranks the first can.

    Arguments as above.

    Raises:
        InputError: there is no finished student, or it is another class of one's own, was trained
            for other classes or on clouds prepared otherwise, or needs more points.
    """
    folder = RunFolder(Path(run)).student
    if not run or not folder.is_dir():
        raise InputError(f"distillation.run={run!r}: holds no finished student to learn from")
    name = read_config(folder).student
    if ":" in name and name != config.student:
        raise InputError(
            f"distillation.run={run}: its student is the class {name}, which is code, and only the "
            f"run's own class, student={config.student}, is taken as trusted"
        )
    student, model = load_student(folder, allow=[config.student])
    if model.classes != inputs.classes:
        raise InputError(f"distillation.run={run}: its student was trained for other classes")
    require_same_clouds(model, inputs.pool, f"distillation.run={run}")
    if student.min_points > inputs.pool.points.shape[1]:
        raise InputError(
            f"distillation.run={run}: its student needs {student.min_points} points, and a cloud "
            f"has {inputs.pool.points.shape[1]}"
        )
    return student


def other_run(config: Config, inputs: Inputs, feature_dim: int) -> RunFolder:
    """Return the run whose teacher and generator are taken; of several ranks the first can.

    Args:
        config: the run that takes them.
        inputs: its splits.
        feature_dim: D, the size of its student's feature.

    Raises:
        InputError: they are unfinished, or were trained otherwise or for features of another size.
    """
    other = RunFolder(Path(config.stages_from))
    if not all(other.weights(stage).is_file() for stage in ("teacher", "generator")):
        raise InputError(f"stages_from={other.root}: no finished teacher and generator there")
    there = load_config(str(other.config))
    if differs := difference(_labelled_only(there), _labelled_only(config), TEACHING):
        raise InputError(f"stages_from={other.root}: trained otherwise ({differs})")
    if words := other.data_changes(inputs.identity):
        raise InputError(f"stages_from={other.root}: trained on other data ({words})")
    if (theirs := _feature_dim(other.weights("teacher"))) not in (None, feature_dim):
        raise InputError(
            f"stages_from={other.root}: its teacher's features have {theirs} numbers, those of "
            f"{config.student} {feature_dim}"
        )
    return other


def _feature_dim(weights: Path) -> int | None:
    """Return D of a teacher's weights; None where they are damaged, which loading says."""
    try:
        with safetensors.safe_open(weights, framework="pt") as file:
            return int(file.get_slice("classifier.weight").get_shape()[1])
    except (OSError, safetensors.SafetensorError):
        return None


def _labelled_only(config: Config) -> Config:
    """Forget the unlabelled clouds: another run's teacher and generator do without them."""
    data = dataclasses.replace(config.data, unlabelled="", unlabelled_batch=1)
    return dataclasses.replace(config, data=data)
