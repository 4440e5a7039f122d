"""The gate: structure first, then what the serving engine computes."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch
from torch import Tensor

from pointcmt.description import ModelConfig
from pointcmt.errors import InputError
from pointcmt.models import Network
from pointcmt_export.convert.host_steps import HostStep
from pointcmt_export.verify.accuracy import accuracy_checks
from pointcmt_export.verify.check import Check, Thresholds, decide
from pointcmt_export.verify.clouds import Clouds
from pointcmt_export.verify.parity import parity_checks
from pointcmt_export.verify.runners import (
    Runner,
    checkpoint_runner,
    index_names,
    session_runner,
    with_index_outputs,
)
from pointcmt_export.verify.structure import interface_check, weights_check
from pointcmt_serve import Classifier, Segmenter
from pointcmt_serve.artefact import file_name
from pointcmt_serve.engines import ENGINES, open_session

MODEL_FILE = "model.onnx"
NO_CUDA = "this torch has no CUDA, so that the checkpoint cannot be timed on the engine's GPU"


@dataclass(frozen=True)
class Expectation:
    """What an artefact must be, all of it from the checkpoint.

    Attributes:
        student: the trained student.
        config: its configuration.
        weights: the deployable network's weights.
        inputs: the file's inputs.
        steps: the index ops on coordinates, whose results must agree, and what they read.
        shapes: (batch, points) pairs for comparing logits.
        thresholds: the limits.
    """

    student: Network
    config: ModelConfig
    weights: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    steps: tuple[HostStep, ...]
    shapes: tuple[tuple[int, int], ...]
    thresholds: Thresholds


def structure_checks(file: Path, expected: Expectation) -> list[Check]:
    """Check what an ONNX file consists of, from the bytes on the disk, before anything is run."""
    model = onnx.load(file)
    return [
        weights_check(model, expected.weights),
        interface_check(model, expected.config, expected.inputs),
    ]


def served_checks(
    folder: Path,
    engine: str,
    expected: Expectation,
    clouds: Clouds,
    write: Callable[[Path], object] = lambda folder: None,
    precision: str | None = None,
    device: str | None = None,
) -> list[Check]:
    """Compare an exported folder, in the session that serves it, with the checkpoint.

    Args:
        folder: holds `model.onnx` and the engine's own files.
        engine: a name in `pointcmt_serve.engines.ENGINES`.
        expected: what the artefact must be.
        clouds: for comparing.
        write: writes the engine's own files beside another `model.onnx` in a folder. It is used for
            a twin that tells the indices, where the shipped graph keeps them to itself.
        precision: of the file to compare, where it lies beside the float32 one.
        device: where it runs; the CPU where the engine runs there, unless told.
    """
    name = file_name(MODEL_FILE, precision)
    device = device or ("cpu" if "cpu" in ENGINES[engine].devices else "cuda")
    again = 0 if device == "cpu" else 2  # what comes again is recorded on a GPU, then replayed
    threads = torch.get_num_threads()
    try:
        with tempfile.TemporaryDirectory() as room:
            shipped = telling = open_session(folder, engine, device, threads, precision)
            model = onnx.load(folder / name)
            if index_names(model):
                onnx.save(with_index_outputs(model), Path(room) / name)
                write(Path(room))
                telling = open_session(room, engine, device, threads, precision)
            runner = session_runner(shipped, telling, again)
            checks = verify_runner(runner, expected, clouds, device)
    except Exception as error:  # the engines raise a dozen unrelated types
        reason = " ".join(str(error).split())[:200]
        checks = [decide("runs", False, f"{engine} cannot run the files ({reason})")]
    return [replace(check, engine=engine) for check in checks]


def opening_check(folder: Path, clouds: Clouds) -> Check:
    """Open the finished folder as a user does, and classify or segment a cloud."""
    config = clouds.config
    cloud = clouds.batch(1, max(config.points, 2))[0, :, : len(config.own_channels)]
    name = "Segmenter" if config.parts else "Classifier"
    try:
        if config.parts:
            Segmenter(folder, device="cpu")(cloud, config.classes[0])
        else:
            Classifier(folder, device="cpu")(cloud)
    except InputError as error:
        return decide("opening", False, str(error))
    return decide("opening", True, f"pointcmt_serve.{name} opens the folder and answers")


def verify_runner(
    runner: Runner, expected: Expectation, clouds: Clouds, device: str = "cpu"
) -> list[Check]:
    """Compare what a runner gives with what the student gives.

    Args:
        runner: runs the artefact.
        expected: what it must be.
        clouds: for comparing.
        device: of the artefact, on which the student's speed is measured too.
    """
    limits = expected.thresholds
    student = expected.student
    checks = parity_checks(student, runner, clouds, expected.shapes, limits, expected.steps)
    comparable = device == "cpu" or torch.cuda.is_available()
    beside = checkpoint_runner(student, device if comparable else "cpu")
    scores = accuracy_checks(beside, runner, clouds, limits)
    elsewhere = Check("speed", "not run", NO_CUDA)
    return checks + [c if comparable or c.name != "speed" else elsewhere for c in scores]
