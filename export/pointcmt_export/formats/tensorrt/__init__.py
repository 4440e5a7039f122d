"""A TensorRT engine, its side-car, and the proof of what it computes."""

from dataclasses import replace
from pathlib import Path

import onnx

from pointcmt.errors import InputError
from pointcmt_export.convert.networks import has_own_network
from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.formats.tensorrt.build import Built, build
from pointcmt_export.formats.tensorrt.precision import (
    precision_check,
    size_check,
    stored_weights_check,
)
from pointcmt_export.formats.tensorrt.side_car import SideCar
from pointcmt_export.options import FittedProfile, Options
from pointcmt_export.report import sha256
from pointcmt_export.source import Source
from pointcmt_export.verify import Check
from pointcmt_export.verify.check import decide
from pointcmt_export.verify.gate import MODEL_FILE, served_checks
from pointcmt_export.verify.runners import index_names
from pointcmt_serve.engines import ENGINES
from pointcmt_serve.engines.cuda import Cuda
from pointcmt_serve.engines.tensorrt_library import Kind, Vendor, load_vendor
from pointcmt_serve.engines.tensorrt_plan import Plan

KINDS: dict[str, Kind] = {"trt": "trt", "trt-rtx": "trt-rtx"}  # of the formats' names
NO_GPU = "no GPU at hand to run the engine on"
UNFOLDED = "the student is deployed as it is written; the builder may fold its norms into weights"
RUN = ("indices", "logits", "argmax", "accuracy", "speed")  # the checks that need one


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what writes an engine of TensorRT or TensorRT-RTX; the library is looked for at once.

    Raises:
        InputError: the library cannot be loaded, or the profile asks for too few points.
    """
    vendor = load_vendor(KINDS[form.name])
    options.profile.fitted(source.student.min_points, source.config.points)
    return lambda job: write(form, vendor, job)


def write(form: Format, vendor: Vendor, job: Job) -> list[Check]:
    """Build the engine, write it and its side-car, and check both.

    Raises:
        InputError: the library cannot build it.
    """
    engine = str(form.engine)
    student, config = job.expected.student, job.expected.config
    profile = job.options.profile.fitted(student.min_points, config.points)
    gpu = Cuda(0).name

    def make(folder: Path) -> Built:
        """Write an engine of the ONNX file in a folder beside it."""
        onnx_file, file = folder / MODEL_FILE, folder / ENGINES[engine].file
        built = build(vendor, onnx.load(onnx_file), profile, job.options.timing_cache)
        file.write_bytes(built.plan)
        SideCar(
            engine_sha256=sha256(file),
            onnx_sha256=sha256(onnx_file),
            library=vendor.kind,
            library_version=str(vendor.api.__version__),
            gpu=gpu if vendor.kind == "trt" else None,  # an engine of the other fits many
            precision=job.options.precision,
            sampling=job.options.sampling,
            profile=profile,
        ).write(file)
        return built

    built = make(job.folder)
    hindrance = _hindrance(vendor, built.plan, gpu)
    checks = [
        decide("build", True, f"{vendor.title} made an engine of {len(built.plan):,} bytes"),
        *_precision(vendor, job, built, profile, runs=not hindrance),
    ]
    if hindrance:
        checks += [Check(name, "not run", hindrance) for name in RUN]
    else:
        shapes = tuple(shape for shape in job.expected.shapes if profile.holds(*shape))
        expected = replace(job.expected, shapes=shapes)
        checks += served_checks(job.folder, engine, expected, job.clouds, make)
    return [replace(each, name=f"{form.name} {each.name}", engine=engine) for each in checks]


def _hindrance(vendor: Vendor, plan: bytes, gpu: str | None) -> str:
    """Return why the engine cannot run here, nothing if it can.

    TensorRT-RTX builds for GPUs that need not be at hand, and runs on none made for data centres.

    Raises:
        InputError: it should run here, and does not load.
    """
    if gpu is None:
        return NO_GPU
    try:
        Plan(vendor, plan)
    except InputError as error:
        if vendor.kind == "trt-rtx" and "compute capability" in str(error):
            return f"{vendor.title} does not run on the {gpu} at hand"
        raise
    return ""


def _precision(
    vendor: Vendor, job: Job, built: Built, profile: FittedProfile, *, runs: bool
) -> list[Check]:
    precision = job.options.precision
    on_xyz = {step.input for step in job.expected.steps}
    searches = len(set(index_names(job.model)) - on_xyz)
    inspected = _inspect(vendor, built.plan) if runs else None
    checks = [precision_check(precision, built.products, searches, inspected)]
    if vendor.kind == "trt-rtx" and not has_own_network(job.expected.student):
        checks.append(Check("weights", "not run", UNFOLDED))
    elif vendor.kind == "trt-rtx":
        checks.append(stored_weights_check(built.plan, job.expected.weights))
    elif precision == "fp16":
        twin = build(vendor, job.full(), profile)
        numbers = sum(tensor.numel() for tensor in job.expected.weights.values())
        checks.append(size_check(len(built.plan), len(twin.plan), numbers))
    return checks


def _inspect(vendor: Vendor, plan: bytes) -> str:
    """Return what the engine's inspector says of its layers."""
    inspector = Plan(vendor, plan).engine.create_engine_inspector()
    return str(inspector.get_engine_information(vendor.api.LayerInformationFormat.JSON))
