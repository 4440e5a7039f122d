"""What a run would do, without doing it: shapes, parameters, steps, time and memory."""

import sys

from torch import nn

from pointcmt.models.student import Student
from pointcmt_training.config import Config, Schedule
from pointcmt_training.inputs import Inputs
from pointcmt_training.inputs.split import Split
from pointcmt_training.parts.prepare import prepare_parts
from pointcmt_training.parts.start import take_encoder
from pointcmt_training.prepare import prepare, trained_sections
from pointcmt_training.rehearsal import rehearse
from pointcmt_training.stages.generator import build_generator
from pointcmt_training.stages.teacher import build_teacher


def plan(config: Config) -> dict[str, str]:
    """Return what would be trained on what, how long and in what memory, name to words.

    Raises:
        InputError: the run could not start; see `prepare`.
    """
    if config.segments:
        return _parts(config)
    inputs, student = prepare(config)
    lines = {"train": _clouds(inputs.train), "test": _clouds(inputs.test)}
    if inputs.validation:
        lines["validation"] = _clouds(inputs.validation)
    if unlabelled := len(inputs.pool) - len(inputs.train):
        lines["unlabelled"] = f"{unlabelled} clouds, {inputs.unlabelled_batch} a step"
    lines["classes"] = str(len(inputs.classes))
    if config.distillation.uses_images:
        teacher = build_teacher(config, inputs, student.feature_dim)
        generator = build_generator(config, student.feature_dim)
        lines["views"] = f"{config.views.kind}, {_shape(inputs.train.view_shape)} an object"
        several = f"{config.teacher.networks} x " if config.teacher.networks > 1 else ""
        lines["teacher"] = f"{several}{config.teacher.backbone}, {_parameters(teacher)}"
        lines["generator"] = f"{config.generator.points} points, {_parameters(generator)}"
    lines["student"] = f"{config.student}, {_parameters(student)}, D = {student.feature_dim}"
    needs = rehearse(config, inputs, student)
    for section in trained_sections(config):
        lines[f"{section} steps"] = _steps(getattr(config, section), inputs)
        lines[f"{section} time"] = f"about {_duration(needs[section].seconds)} on this machine"
        lines[f"{section} memory"] = f"about {needs[section].bytes / 1e9:.2f} GB held by a step"
    lines["data in memory"] = f"{_resident() / 1e9:.2f} GB, this process with its libraries"
    return lines


def _duration(seconds: float) -> str:
    """Write seconds in the largest fitting unit."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _resident() -> int:
    """Return the largest resident size of this process so far, in bytes; 0 where unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _parts(config: Config) -> dict[str, str]:
    inputs, segmenter = prepare_parts(config)
    begun = take_encoder(segmenter, config, inputs) if config.start else {}
    return {
        "train": _clouds(inputs.whole.train),
        "test": _clouds(inputs.whole.test),
        "classes": f"{len(inputs.classes)} with {sum(segmenter.parts)} parts",
        "student": f"{config.student}, {_parameters(segmenter)}",
        "encoder": f"from {config.start}" if begun else "from scratch",
        "training steps": _steps(config.training, inputs.whole),
    }


def _clouds(split: Split) -> str:
    return f"{_shape(split.points.shape)}, {', '.join(split.channels)}"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in shape)


def _parameters(module: Student | nn.Module) -> str:
    return f"{sum(p.numel() for p in module.parameters()):,} parameters"


def _steps(schedule: Schedule, inputs: Inputs) -> str:
    each = len(inputs.train) // schedule.batch_size
    epochs, size = schedule.epochs, schedule.batch_size
    return f"{epochs * each:,}: {epochs:,} epochs of {each:,} batches of {size}"
