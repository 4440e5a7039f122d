"""A TensorRT engine, its side-car, and the proof of what it computes."""

from dataclasses import replace
from pathlib import Path

from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.formats.tensorrt.build import Built, build
from pointcmt_export.formats.tensorrt.execute import engine_runner, inspect, why_not_run
from pointcmt_export.formats.tensorrt.precision import (
    precision_check,
    size_check,
    stored_weights_check,
)
from pointcmt_export.formats.tensorrt.side_car import SideCar
from pointcmt_export.machine import gpu_name
from pointcmt_export.options import FittedProfile, Options
from pointcmt_export.report import sha256
from pointcmt_export.source import Source
from pointcmt_export.verify import Check
from pointcmt_export.verify.check import decide
from pointcmt_export.verify.gate import verify_runner
from pointcmt_export.verify.runners import Floats, Outputs, index_names, with_index_outputs
from pointcmt_serve.engines.side_car import require_fitting
from pointcmt_serve.engines.tensorrt_library import Kind, Vendor, load_vendor

FILES: dict[Kind, str] = {"trt": "model.engine", "trt-rtx": "model.rtx.engine"}


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what writes an engine of TensorRT or TensorRT-RTX; the library is looked for at once.

    Raises:
        InputError: the library is not installed.
    """
    vendor = load_vendor("trt" if form.name == "trt" else "trt-rtx")
    return lambda job: write(vendor, job)


def write(vendor: Vendor, job: Job) -> list[Check]:
    """Build the engine, write it and its side-car, and check both.

    Raises:
        InputError: the library cannot build it.
    """
    student, config = job.expected.student, job.expected.config
    profile = job.options.profile.fitted(student.min_points, config.points)
    built = build(vendor, job.model, profile, job.options.timing_cache)
    file = job.folder / FILES[vendor.kind]
    file.write_bytes(built.plan)
    SideCar(
        engine_sha256=sha256(file),
        onnx_sha256=sha256(job.folder / "model.onnx"),
        library=vendor.kind,
        library_version=str(vendor.api.__version__),
        gpu=gpu_name(),
        precision=job.options.precision,
        profile=profile,
    ).write(file)
    checks = [
        decide("build", True, f"{vendor.title} made an engine of {len(built.plan):,} bytes"),
        *_precision(vendor, job, built, profile),
        *_execution(vendor, job, file, profile),
    ]
    return [Check(f"{vendor.kind} {c.name}", c.status, c.detail, c.figures) for c in checks]


def _precision(vendor: Vendor, job: Job, built: Built, profile: FittedProfile) -> list[Check]:
    precision = job.options.precision
    searches = len(set(index_names(job.model)) - job.expected.exact)
    inspected = inspect(vendor, built.plan)
    checks = [precision_check(precision, built.products, searches, inspected)]
    if vendor.kind == "trt-rtx":
        checks.append(stored_weights_check(built.plan, job.expected.weights))
    elif precision == "fp16":
        twin = build(vendor, job.full(), profile)
        numbers = sum(tensor.numel() for tensor in job.expected.weights.values())
        checks.append(size_check(len(built.plan), len(twin.plan), numbers))
    return checks


def _execution(vendor: Vendor, job: Job, file: Path, profile: FittedProfile) -> list[Check]:
    """Compare the written engine with the checkpoint, where a GPU is at hand.

    Indices come from a twin that puts them out; the engine itself gives logits alone.
    """
    reason = why_not_run()
    if reason is not None:
        names = ("indices", "logits", "argmax", "accuracy")
        return [Check(name, "not run", reason) for name in names]
    require_fitting(file, vendor.kind, str(vendor.api.__version__), gpu_name())
    shown = with_index_outputs(job.model)
    outputs = [output.name for output in shown.graph.output]
    twin = build(vendor, shown, profile).plan
    largest = profile.batch[2]
    shipped = engine_runner(vendor, file.read_bytes(), job.model, largest, ["logits"])
    telling = engine_runner(vendor, twin, job.model, largest, outputs)

    def both(points: Floats) -> Outputs:
        return Outputs(shipped(points).logits, telling(points).indices)

    shapes = tuple(shape for shape in job.expected.shapes if profile.holds(*shape))
    return verify_runner(both, replace(job.expected, shapes=shapes), job.clouds)
