"""The gate: structure first, then what is computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from torch import Tensor

from pointcmt.checkpoint import ModelConfig
from pointcmt.models import Student
from pointcmt_export.verify.check import Check, Thresholds
from pointcmt_export.verify.clouds import Clouds
from pointcmt_export.verify.parity import accuracy_check, parity_checks
from pointcmt_export.verify.runners import Runner, checkpoint_runner
from pointcmt_export.verify.structure import interface_check, weights_check


@dataclass(frozen=True)
class Expectation:
    """What an artefact must be, all of it from the checkpoint.

    Attributes:
        student: the trained student.
        config: its configuration.
        channels: of a point.
        weights: the deployable network's weights.
        inputs: the file's inputs.
        exact: names of the index ops that must agree to the index.
        shapes: (batch, points) pairs for comparing logits.
        thresholds: the limits.
    """

    student: Student
    config: ModelConfig
    channels: int
    weights: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    exact: frozenset[str]
    shapes: tuple[tuple[int, int], ...]
    thresholds: Thresholds


def structure_checks(file: Path, expected: Expectation) -> list[Check]:
    """Check what an ONNX file consists of, from the bytes on the disk, before anything is run."""
    model = onnx.load(file)
    return [
        weights_check(model, expected.weights),
        interface_check(model, expected.config, expected.channels, expected.inputs),
    ]


def verify_runner(runner: Runner, expected: Expectation, clouds: Clouds) -> list[Check]:
    """Compare what a runner gives with what the student gives."""
    reference = checkpoint_runner(expected.student)
    limits = expected.thresholds
    return [
        *parity_checks(reference, runner, clouds, expected.shapes, limits, expected.exact),
        accuracy_check(reference, runner, clouds, limits),
    ]
