"""A whole run: three stages, one folder."""

import shutil
from pathlib import Path
from typing import Any

from pointcmt.channels import ANY
from pointcmt.checkpoint import ModelConfig, save_student, save_training_checkpoint
from pointcmt.metrics import Accuracy
from pointcmt.models.student import Student
from pointcmt_training.allocator import tune_allocator
from pointcmt_training.config import Config
from pointcmt_training.distillation.self_training import SelfTraining
from pointcmt_training.environment import environment
from pointcmt_training.folder import SECTIONS, RunFolder, stage_seconds, write_json
from pointcmt_training.held import held
from pointcmt_training.inputs import Inputs, load_inputs
from pointcmt_training.parts.run import run_parts
from pointcmt_training.prepare import pick_device, prepare
from pointcmt_training.recipe import shaping
from pointcmt_training.report import write_report
from pointcmt_training.stages.student import student_accuracy, train_student
from pointcmt_training.stages.teaching import Teaching, earlier_student, teach
from pointcmt_training.together import agreed, told
from pointcmt_training.voting import PAPER_VOTES, published_accuracy, voted_accuracy


def run(config: Config, root: Path) -> dict[str, Any]:
    """Train as configured into the folder `root`; resume what an earlier call left unfinished.

    Returns:
        The content of `result.json`: accuracies of teacher and student, seconds of each stage.

    Raises:
        InputError: the data is unusable or not the same as before, or the folder holds another
            run.
    """
    if config.segments:
        return run_parts(config, root)
    folder = RunFolder(root)
    told(lambda: folder.require_free(config))
    if told(folder.result.is_file):
        return told(lambda: _finished(config, folder))
    inputs, student = agreed(
        lambda: prepare(config), lambda made: (shaping(config), made[0].identity)
    )
    # What reading the data has freed is given back before.
    tune_allocator(lean=config.teacher.recompute)
    with held(root):
        told(lambda: folder.claim(config, inputs.identity))
        return _train(config, inputs, folder, student)


def _train(config: Config, inputs: Inputs, folder: RunFolder, student: Student) -> dict[str, Any]:
    method = config.distillation
    teaching = teach(config, inputs, folder, student.feature_dim) if method.uses_images else None
    images = teaching.images if teaching else None
    if isinstance(method, SelfTraining):
        images = earlier_student(config, method.run, inputs)
    history = train_student(config, inputs, folder, student, images)
    measured = student_accuracy(student, inputs.test)
    result = {
        "student": measured.summary(),
        "teacher": teaching.result if teaching else None,
        **_voted(config, inputs, student),
        "protocol": config.protocol,
        "selection": config.selected_on or "last",
        "seconds": {section: stage_seconds(folder, section) for section in SECTIONS},
        "parameters": sum(p.numel() for p in student.parameters()),
        "confusion": measured.confusion.tolist(),
        "environment": environment(inputs.train.points.device),
    }
    told(lambda: _save(config, inputs, folder, student, teaching, measured, len(history), result))
    return result


def _finished(config: Config, folder: RunFolder) -> dict[str, Any]:
    folder.claim(config, load_inputs(config, pick_device("cpu")).identity)
    return folder.finished()


def _voted(config: Config, inputs: Inputs, student: Student) -> dict[str, Any]:
    """Return what voting gives, apart from the plain figure; empty where nothing is asked for."""
    asked = config.evaluation
    if config.protocol == "paper":
        votes = asked.votes if asked.votes > 1 else PAPER_VOTES
        found = published_accuracy(student, inputs.test, votes, asked.repeats)
        return {"published": {**found, "votes": votes, "repeats": asked.repeats}}
    if asked.votes == 1:
        return {}
    return {
        "voted": {
            **voted_accuracy(student, inputs.test, asked.votes).summary(),
            "votes": asked.votes,
        }
    }


def _save(
    config: Config,
    inputs: Inputs,
    folder: RunFolder,
    student: Student,
    teaching: Teaching | None,
    measured: Accuracy,
    epochs: int,
    result: dict[str, Any],
) -> None:
    model = ModelConfig(
        student=config.student,
        options=config.options,
        classes=inputs.classes,
        points=config.data.points,
        normalization=inputs.train.dataset.normalization,
        channels=inputs.train.channels,
        up=ANY if config.augmentation.rotate == "any" else inputs.train.dataset.up,
        provenance={
            "method": config.method,
            "seed": config.seed,
            "epochs": epochs,
            "selection": config.selected_on or "last",
            "trained on": inputs.train.dataset.name,
            "tested on": inputs.test.dataset.name,
            "overall accuracy": round(measured.overall, 4),
            "mean class accuracy": round(measured.mean_class, 4),
        },
    )
    save_student(folder.student, student, model)
    others = {"teacher": teaching.teacher, "generator": teaching.generator} if teaching else {}
    save_training_checkpoint(folder.checkpoint, model, student, **others)
    write_report(config, inputs, folder, result, student, teaching)
    write_json(folder.result, result)
    shutil.rmtree(folder.root / "state", ignore_errors=True)
