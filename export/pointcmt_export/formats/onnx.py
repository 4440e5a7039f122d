"""The ONNX file, which every exported folder holds, run by onnxruntime."""

from dataclasses import replace
from typing import cast

from pointcmt.models import Student
from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.options import Options
from pointcmt_export.source import Source
from pointcmt_export.verify import Check, failed
from pointcmt_export.verify.gate import MODEL_FILE, served_checks
from pointcmt_export.verify.winners import winners_check
from pointcmt_serve.engines import Device
from pointcmt_serve.engines.onnxruntime import OnnxSession

ENGINE = "onnxruntime"


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what checks the ONNX file; the exporter has written it."""
    return write


def write(job: Job) -> list[Check]:
    """Compare what the file on the disk gives, and which points win in it, with the checkpoint."""
    checks = served_checks(job.folder, ENGINE, job.expected, job.clouds)
    if not failed(checks):
        checks += _gpu_checks(job)
    if failed(checks) or job.expected.config.parts:  # nobody asks a segmenter which points decided
        return checks
    cloud = job.clouds.batch(*job.expected.shapes[0])
    limits = job.expected.thresholds
    won = winners_check(job.folder / MODEL_FILE, cast(Student, job.expected.student), cloud, limits)
    return [*checks, replace(won, engine=ENGINE)]


def _gpu_checks(job: Job) -> list[Check]:
    """Compare it on the GPU too where a classifier would take that, since it computes otherwise."""
    if not OnnxSession(job.folder / MODEL_FILE, Device("auto"), 1).on_gpu:
        return []
    found = served_checks(job.folder, ENGINE, job.expected, job.clouds, device="cuda")
    return [replace(check, name=f"cuda {check.name}") for check in found]
