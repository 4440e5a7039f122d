"""A TensorRT engine, its side-car, and the proof of what it computes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from pointcmt_export.engines.build import Built, build
from pointcmt_export.engines.execute import engine_runner, inspect, why_not_run
from pointcmt_export.engines.job import Engine, Job
from pointcmt_export.engines.precision import precision_check, size_check, stored_weights_check
from pointcmt_export.engines.vendor import Kind, Vendor, load_vendor
from pointcmt_export.options import FittedProfile
from pointcmt_export.report import gpu_name, sha256
from pointcmt_export.verification import Check
from pointcmt_export.verification.check import decide
from pointcmt_export.verification.gate import verify_runner
from pointcmt_export.verification.run import Floats, Outputs, index_names, with_index_outputs

FILES: dict[Kind, str] = {"trt": "model.engine", "trt-rtx": "model.rtx.engine"}


def writer(kind: Kind) -> Engine:
    """Return what writes an engine of this kind; the library is looked for at once.

    Raises:
        InputError: the library is not installed.
    """
    vendor = load_vendor(kind)
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
    text = json.dumps(side_car(vendor, job, profile, file), indent=2)
    file.with_name(f"{file.name}.json").write_text(f"{text}\n")
    checks = [
        decide("build", True, f"{vendor.title} made an engine of {len(built.plan):,} bytes"),
        *_precision(vendor, job, built, profile),
        *_execution(vendor, job, built, profile),
    ]
    return [Check(f"{vendor.kind} {c.name}", c.status, c.detail, c.figures) for c in checks]


def side_car(vendor: Vendor, job: Job, profile: FittedProfile, file: Path) -> dict[str, Any]:
    """What must be known to load an engine, whose file has no room for it."""
    return {
        "format": "pointcmt-engine-1",
        "engine": file.name,
        "engine_sha256": sha256(file),
        "onnx_sha256": sha256(job.folder / "model.onnx"),
        "library": vendor.kind,
        "library_version": str(vendor.api.__version__),
        "gpu": gpu_name(),
        "precision": job.options.precision,
        "profile": {"batch": list(profile.batch), "points": list(profile.points)},
    }


def _precision(vendor: Vendor, job: Job, built: Built, profile: FittedProfile) -> list[Check]:
    precision = job.options.precision
    searches = len(set(index_names(job.model)) - job.expected.exact)
    inspected = inspect(vendor, built.plan)
    checks = [precision_check(precision, built.products, searches, inspected)]
    if vendor.kind == "trt-rtx":
        checks.append(stored_weights_check(built.plan, job.expected.weights))
    if precision == "fp16" and job.full is not None:
        twin = build(vendor, job.full, profile)
        checks.append(size_check(len(built.plan), len(twin.plan)))
    return checks


def _execution(vendor: Vendor, job: Job, built: Built, profile: FittedProfile) -> list[Check]:
    """Compare the engine with the checkpoint; indices come from a twin that puts them out."""
    reason = why_not_run()
    if reason is not None:
        names = ("indices", "logits", "argmax", "accuracy")
        return [Check(name, "not run", reason) for name in names]
    runner = _runner(vendor, job.model, profile)
    shapes = tuple(shape for shape in job.expected.shapes if profile.holds(*shape))
    shown = with_index_outputs(job.model)
    twin = build(vendor, shown, profile)
    shipped, telling = runner(built.plan, ["logits"]), runner(twin.plan, _outputs(shown))

    def both(points: Floats) -> Outputs:
        return Outputs(shipped(points).logits, telling(points).indices)

    return verify_runner(both, replace(job.expected, shapes=shapes), job.clouds)


def _runner(vendor: Vendor, model: onnx.ModelProto, profile: FittedProfile) -> Callable[..., Any]:
    largest = profile.batch[2]
    return lambda plan, outputs: engine_runner(vendor, plan, model, largest, outputs)


def _outputs(model: onnx.ModelProto) -> list[str]:
    return [output.name for output in model.graph.output]
