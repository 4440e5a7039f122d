"""A whole run: three stages, one folder."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pointcmt.checkpoint import ModelConfig, save_student, save_training_checkpoint
from pointcmt.errors import InputError
from pointcmt.metrics import Accuracy
from pointcmt.models import create_student
from pointcmt.models.student import Student
from pointcmt.teacher.generator import PointGenerator
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder, read_history, write_json
from pointcmt_training.generator import train_generator
from pointcmt_training.inputs import Inputs, load_inputs
from pointcmt_training.memory import keep_freed_memory
from pointcmt_training.methods import Images
from pointcmt_training.recipe import difference, load_config
from pointcmt_training.report import write_report
from pointcmt_training.stage import seeded
from pointcmt_training.student import student_accuracy, train_student
from pointcmt_training.teacher import teacher_accuracy, teacher_features, train_teacher

STAGES = ("teacher", "generator", "training")
TEACHING = ("data", "views", "teacher", "generator")  # what stages I and II follow from


@dataclass(frozen=True)
class Teaching:
    """Stages I and II, finished."""

    teacher: MultiViewTeacher
    generator: PointGenerator
    images: Images
    result: dict[str, float]


def run(config: Config, root: Path) -> dict[str, Any]:
    """Train as configured into the folder `root`; resume what an earlier call left unfinished.

    Returns:
        The content of `result.json`: accuracies of teacher and student, seconds of each stage.

    Raises:
        InputError: the data is unusable, or the folder holds another run.
    """
    folder = RunFolder(root)
    folder.claim(config)
    keep_freed_memory()
    if folder.result.is_file():
        finished: dict[str, Any] = json.loads(folder.result.read_text())
        return finished
    inputs = load_inputs(config, pick_device(config.device))
    student = seeded(
        config.seed,
        lambda: create_student(config.student, len(inputs.classes), **config.options),
    )
    teaching = None if config.method == "none" else _teach(config, inputs, folder, student)
    train_student(config, inputs, folder, student, teaching.images if teaching else None)
    measured = student_accuracy(student, inputs.test)
    result = {
        "student": _summary(measured),
        "teacher": teaching.result if teaching else None,
        "selection": config.training.selection,
        "seconds": {stage: _seconds(folder, stage) for stage in STAGES},
        "parameters": sum(p.numel() for p in student.parameters()),
        "confusion": measured.confusion.tolist(),
    }
    _save(config, inputs, folder, student, teaching, measured)
    write_report(config, inputs, folder, result, student, teaching)
    write_json(folder.result, result)
    shutil.rmtree(folder.root / "state", ignore_errors=True)
    return result


def pick_device(name: str) -> torch.device:
    """Return the named device; "auto" is a GPU where there is one.

    Raises:
        InputError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device={name}: not usable here; use cpu, cuda or auto") from error


def _teach(config: Config, inputs: Inputs, folder: RunFolder, student: Student) -> Teaching:
    if config.stages_from:
        folder = _other_run(config)
    teacher = train_teacher(config, inputs, folder, student.feature_dim)
    features = teacher_features(config, teacher, inputs.train, folder)
    generator = train_generator(config, inputs, folder, features)
    measures = folder.root / "teacher" / "accuracy.json"
    if not measures.is_file():
        write_json(measures, _summary(teacher_accuracy(teacher, inputs.test)))
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


def _save(
    config: Config,
    inputs: Inputs,
    folder: RunFolder,
    student: Student,
    teaching: Teaching | None,
    measured: Accuracy,
) -> None:
    model = ModelConfig(
        student=config.student,
        options=config.options,
        classes=inputs.classes,
        points=config.data.points,
        normalization=inputs.train.dataset.normalization,
        provenance={
            "method": config.method,
            "seed": config.seed,
            "epochs": config.training.epochs,
            "selection": config.training.selection,
            "trained on": inputs.train.dataset.name,
            "tested on": inputs.test.dataset.name,
            "overall accuracy": round(measured.overall, 4),
            "mean class accuracy": round(measured.mean_class, 4),
        },
    )
    save_student(folder.student, student, model)
    others = {"teacher": teaching.teacher, "generator": teaching.generator} if teaching else {}
    save_training_checkpoint(folder.checkpoint, model, student, **others)


def _summary(measured: Accuracy) -> dict[str, float]:
    return {"overall": measured.overall, "mean_class": measured.mean_class}


def _seconds(folder: RunFolder, stage: str) -> dict[str, float]:
    records = read_history(folder.history(stage))
    kinds = ("wall_seconds", "cpu_seconds")
    return {kind: sum(record[kind] for record in records) for kind in kinds}
