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

ENGINE = "onnxruntime"


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what checks the ONNX file; the exporter has written it."""
    return write


def write(job: Job) -> list[Check]:
    """Compare what the file on the disk gives, and which points win in it, with the checkpoint."""
    checks = served_checks(job.folder, ENGINE, job.expected, job.clouds)
    if failed(checks) or job.expected.config.parts:  # nobody asks a segmenter which points decided
        return checks
    cloud = job.clouds.batch(*job.expected.shapes[0])
    limits = job.expected.thresholds
    won = winners_check(job.folder / MODEL_FILE, cast(Student, job.expected.student), cloud, limits)
    return [*checks, replace(won, engine=ENGINE)]
