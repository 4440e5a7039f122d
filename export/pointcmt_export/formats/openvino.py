"""OpenVINO's own format: `model.xml` and `model.bin`, run on the CPU for verification."""

from typing import Any

import numpy as np

from pointcmt.errors import InputError
from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.options import Options
from pointcmt_export.source import Source
from pointcmt_export.verify import Check
from pointcmt_export.verify.gate import verify_runner
from pointcmt_export.verify.runners import (
    Floats,
    Outputs,
    Runner,
    host_feed,
    index_names,
    samples_points,
)

FILE = "model.xml"
PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def require() -> Any:
    """Return the openvino module.

    Raises:
        InputError: it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise InputError(
            "--format openvino needs OpenVINO; install it with: pip install 'pointcmt[openvino]'"
        ) from error
    return openvino


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what writes the format; OpenVINO is looked for at once.

    Raises:
        InputError: it is not installed, or the graph would sample points itself.
    """
    require()
    if options.sampling == "graph" and samples_points(source.student, source.channels):
        raise InputError(
            "OpenVINO cannot read the loop of farthest point sampling; use --sampling host"
        )
    return write


def write(job: Job) -> list[Check]:
    """Write `model.xml` and `model.bin`, weights uncompressed, and compare what they give."""
    vino = require()
    model = vino.Core().read_model(job.folder / "model.onnx")
    vino.save_model(model, job.folder / FILE, compress_to_fp16=False)
    checks = verify_runner(openvino_runner(job), job.expected, job.clouds)
    return [Check(f"openvino {c.name}", c.status, c.detail, c.figures) for c in checks]


def openvino_runner(job: Job) -> Runner:
    """Run the written file on the CPU in float32, with its indices as further outputs."""
    core = require().Core()
    model = core.read_model(job.folder / FILE)
    names = index_names(job.model)
    if names:
        model.add_outputs(names)
    compiled = core.compile_model(model, "CPU", PROPERTIES)
    feed = host_feed(job.model)

    def run(points: Floats) -> Outputs:
        fed = feed(points)
        given = compiled({"points": points, **fed})
        found = {name: np.asarray(given[name]) for name in names}
        return Outputs(np.asarray(given["logits"], dtype=np.float32), {**fed, **found})

    return run
