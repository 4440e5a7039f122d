"""Students below float32 on a CPU: a file beside the float32 one, with a gate of its own."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx

from pointcmt_export.convert.to_onnx import set_metadata
from pointcmt_export.formats import Format, Job, chosen_formats
from pointcmt_export.options import Options, Precision
from pointcmt_export.reduced.bf16 import emulated
from pointcmt_export.reduced.int8 import Feeds, quantized
from pointcmt_export.reduced.structure import int8_check
from pointcmt_export.report import sha256
from pointcmt_export.source import Source
from pointcmt_export.verify import Check, Clouds, failed, open_calibration
from pointcmt_export.verify.check import REDUCED, limited
from pointcmt_export.verify.gate import MODEL_FILE, Expectation, served_checks, structure_checks
from pointcmt_export.verify.runners import metadata
from pointcmt_serve.artefact import BESIDE, file_name
from pointcmt_serve.engines.openvino import no_bfloat16
from pointcmt_serve.engines.side_car import BFLOAT16, path_of
from pointcmt_serve.host_indices import host_indices

Reduce = Callable[[Job], list[Check]]
Convert = Callable[[Precision], tuple[onnx.ModelProto, Expectation]]
CALIBRATING = 128  # clouds that show the ranges of activations
AT_ONCE = 8
EMULATED = "bfloat16 emulated in float32"
UNTIMED = "emulated arithmetic has no speed of its own"


def reducer(source: Source, options: Options, convert: Convert) -> Reduce | None:
    """Return what writes and checks the file of `--precision`, None where it has none of its own.

    All that it needs is looked for first, so that an export that must fail fails at once.

    Args:
        source: the student.
        options: the export's.
        convert: gives the student's graph in a precision, with its metadata, and what it must be.

    Raises:
        InputError: a format cannot hold it, or a data set is missing or does not fit the student.
    """
    if options.precision not in BESIDE:
        return None
    if options.precision == "bf16":
        return lambda job: write_bf16(job, *convert("bf16"))
    calibration = open_calibration(str(options.calibration or options.data), source.config)
    return lambda job: write_int8(job, calibration)


def write_int8(job: Job, calibration: Clouds) -> list[Check]:
    """Write `model.int8.onnx` beside the float32 file, and check it in each engine that runs it.

    Args:
        job: the export, its float32 file written and verified.
        calibration: clouds that show the ranges of activations.
    """
    count = min(CALIBRATING, len(calibration.parity))
    made = quantized(job.model, _feeds(job, calibration, count))
    set_metadata(made, _record(job, calibration, count))
    onnx.save(made, job.folder / file_name(MODEL_FILE, "int8"))
    checks = [int8_check(made, job.model)]
    expected = replace(job.expected, thresholds=limited(REDUCED, job.options.limits))
    for form in chosen_formats(job.options.format):
        if not failed(checks):
            checks += _served(form, job, expected, "int8")
    return [replace(check, name=f"int8 {check.name}") for check in checks]


def write_bf16(job: Job, model: onnx.ModelProto, expected: Expectation) -> list[Check]:
    """Write `model.bf16.onnx` and its side-car, and check it.

    OpenVINO runs it where the processor has bfloat16; elsewhere it is emulated.

    Args:
        job: the export, its float32 file written and verified.
        model: the graph in bfloat16.
        expected: what it must be.
    """
    file = job.folder / file_name(MODEL_FILE, "bf16")
    onnx.save(model, file)
    _tie(job.folder, job.folder)
    expected = replace(expected, thresholds=limited(REDUCED, job.options.limits))
    checks = structure_checks(file, expected)
    if not failed(checks):
        checks += _computed(model, job, expected)
    return [replace(check, name=f"bf16 {check.name}") for check in checks]


def _tie(full: Path, folder: Path) -> None:
    """Write the side-car that ties a folder's bfloat16 file to the float32 one of `full`."""
    file, beside = folder / file_name(MODEL_FILE, "bf16"), folder / MODEL_FILE
    if folder != full:
        shutil.copyfile(full / MODEL_FILE, beside)
    told = {"engine_sha256": sha256(file), "onnx_sha256": sha256(beside)}
    path_of(file).write_text(json.dumps({"format": BFLOAT16, **told}, indent=2) + "\n")


def _computed(model: onnx.ModelProto, job: Job, expected: Expectation) -> list[Check]:
    _, form = chosen_formats("openvino")
    reason = no_bfloat16()
    if reason is None:
        return _served(form, job, expected, "bf16")
    missed = Check(f"{form.name} logits", "not run", reason, engine=f"{form.engine}, bf16")
    return [*_emulated(model, job, expected), missed]


def _emulated(model: onnx.ModelProto, job: Job, expected: Expectation) -> list[Check]:
    with tempfile.TemporaryDirectory() as room:
        onnx.save(emulated(model), Path(room) / MODEL_FILE)
        found = served_checks(Path(room), "onnxruntime", expected, job.clouds)
    found = [Check("speed", "not run", UNTIMED) if c.name == "speed" else c for c in found]
    return [replace(c, name=f"emulated {c.name}", engine=EMULATED) for c in found]


def _served(form: Format, job: Job, expected: Expectation, precision: str) -> list[Check]:
    engine, prefix = str(form.engine), "" if form.name == "onnx" else f"{form.name} "
    tie = partial(_tie, job.folder) if precision == "bf16" else lambda folder: None
    found = served_checks(job.folder, engine, expected, job.clouds, tie, precision)
    return [replace(c, name=f"{prefix}{c.name}", engine=f"{engine}, {precision}") for c in found]


def _feeds(job: Job, calibration: Clouds, count: int) -> Iterator[Feeds]:
    """Yield the graph's inputs for `count` clouds, spread over the data set."""
    steps = json.loads(metadata(job.model)["inputs"])
    clouds = calibration.batch(count, job.expected.config.points)
    for start in range(0, count, AT_ONCE):
        part = clouds[start : start + AT_ONCE]
        yield {"points": part, **host_indices(steps, part)}


def _record(job: Job, calibration: Clouds, count: int) -> dict[str, object]:
    """What the file says of itself: as the float32 one, its arithmetic and whence its ranges."""
    data = calibration.parity
    stated = {"data": data.name, "clouds": count, "data_sha256": data.fingerprint()}
    return {**metadata(job.model), "precision": "int8", "calibration": stated}
