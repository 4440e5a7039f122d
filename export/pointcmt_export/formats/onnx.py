"""The ONNX file, which every exported folder holds, run by onnxruntime."""

from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.options import Options
from pointcmt_export.source import Source
from pointcmt_export.verify import Check
from pointcmt_export.verify.gate import served_checks


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what checks the ONNX file; the exporter has written it."""
    return write


def write(job: Job) -> list[Check]:
    """Compare what the file on the disk gives with the checkpoint."""
    return served_checks(job.folder, "onnxruntime", job.expected, job.clouds)
