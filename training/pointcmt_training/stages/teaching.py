"""Stages I and II of a run, trained here or taken from another run."""

import json
from dataclasses import dataclass
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt.teacher.generator import PointGenerator
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt_training.config import Config
from pointcmt_training.distillation.method import Images
from pointcmt_training.folder import RunFolder, write_json
from pointcmt_training.inputs import Inputs
from pointcmt_training.recipe import difference, load_config
from pointcmt_training.stages.generator import train_generator
from pointcmt_training.stages.teacher import teacher_accuracy, teacher_features, train_teacher

TEACHING = ("data", "views", "teacher", "generator")  # the sections stages I and II follow from


@dataclass(frozen=True)
class Teaching:
    """What stages I and II left.

    Attributes:
        teacher: image encoder and classifier, frozen.
        generator: the CMPG, frozen.
        images: the parts that a method sees, with the features of the training split.
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
    if config.stages_from:
        folder = _other_run(config)
    teacher = train_teacher(config, inputs, folder, feature_dim)
    features = teacher_features(config, teacher, inputs.train, folder)
    generator = train_generator(config, inputs, folder, features)
    measures = folder.root / "teacher" / "accuracy.json"
    if not measures.is_file():
        write_json(measures, teacher_accuracy(teacher, inputs.test).summary())
    result = json.loads(measures.read_text())
    return Teaching(teacher, generator, Images(teacher.classifier, generator, features), result)


def _other_run(config: Config) -> RunFolder:
    """The run whose teacher and generator are taken; both must be finished and fit."""
    other = RunFolder(Path(config.stages_from))
    if not all(other.weights(stage).is_file() for stage in ("teacher", "generator")):
        raise InputError(f"stages_from={other.root}: no finished teacher and generator there")
    there = load_config(str(other.root / "config.yaml"))
    if differs := difference(there, config, TEACHING):
        raise InputError(f"stages_from={other.root}: trained otherwise ({differs})")
    return other
