"""The gate for an ONNX file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from torch import Tensor

from pointcmt.checkpoint import ModelConfig
from pointcmt.models import Student
from pointcmt_export.verification.check import Check, Thresholds, decide, failed
from pointcmt_export.verification.clouds import Clouds
from pointcmt_export.verification.parity import accuracy_check, parity_checks
from pointcmt_export.verification.run import Runner, checkpoint_runner, onnx_runner
from pointcmt_export.verification.structure import interface_check, weights_check


@dataclass(frozen=True)
class Expectation:
    """What an artefact must be, all of it from the checkpoint.

    Attributes:
        student: the trained student.
        config: its configuration.
        channels: of a point.
        weights: the deployable graph's weights.
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


def verify_onnx(file: Path, expected: Expectation, clouds: Clouds) -> list[Check]:
    """Check an ONNX file against the checkpoint, from the bytes on the disk.

    Structure and interface come first; where they fail, nothing is run.
    """
    model = onnx.load(file)
    checks = [
        weights_check(model, expected.weights),
        interface_check(model, expected.config, expected.channels, expected.inputs),
    ]
    if failed(checks):
        return checks
    try:
        runner = onnx_runner(model)
        return [*checks, *verify_runner(runner, expected, clouds)]
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        reason = " ".join(str(error).split())[:200]
        return [*checks, decide("runs", False, f"onnxruntime cannot run the file ({reason})")]


def verify_runner(runner: Runner, expected: Expectation, clouds: Clouds) -> list[Check]:
    """Compare what a runner gives with what the student gives."""
    reference = checkpoint_runner(expected.student)
    limits = expected.thresholds
    return [
        *parity_checks(reference, runner, clouds, expected.shapes, limits, expected.exact),
        accuracy_check(reference, runner, clouds, limits),
    ]
