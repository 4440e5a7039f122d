"""The ONNX file run by OpenVINO, which reads it as it is."""

from dataclasses import replace

from pointcmt.errors import InputError
from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.formats.requirements import NO_LOOP
from pointcmt_export.options import Options
from pointcmt_export.source import Source
from pointcmt_export.verify import Check
from pointcmt_export.verify.gate import served_checks
from pointcmt_export.verify.runners import samples_points


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what checks the ONNX file in OpenVINO.

    Raises:
        InputError: a student of one's own samples points in a loop, which OpenVINO cannot read.
    """
    if options.sampling == "graph" and samples_points(source.student, source.channels):
        raise InputError(NO_LOOP)
    return write


def write(job: Job) -> list[Check]:
    """Compare what OpenVINO makes of the ONNX file with the checkpoint."""
    checks = served_checks(job.folder, "openvino", job.expected, job.clouds)
    return [replace(check, name=f"openvino {check.name}") for check in checks]
