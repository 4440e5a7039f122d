"""The ONNX file, which every exported folder holds, run by onnxruntime."""

import onnx

from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.options import Options
from pointcmt_export.source import Source
from pointcmt_export.verify import Check
from pointcmt_export.verify.check import decide
from pointcmt_export.verify.gate import verify_runner
from pointcmt_export.verify.runners import onnx_runner

FILE = "model.onnx"


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what checks the ONNX file."""
    return write


def write(job: Job) -> list[Check]:
    """Compare what the file on the disk gives with the checkpoint."""
    try:
        runner = onnx_runner(onnx.load(job.folder / FILE))
        return verify_runner(runner, job.expected, job.clouds)
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        reason = " ".join(str(error).split())[:200]
        return [decide("runs", False, f"onnxruntime cannot run the file ({reason})")]
