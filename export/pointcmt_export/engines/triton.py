"""A Triton model repository beside the ONNX file."""

from pointcmt_export.engines.job import Job
from pointcmt_export.triton import write_repository
from pointcmt_export.verification import Check
from pointcmt_export.verification.check import decide

FOLDER = "triton"


def write(job: Job) -> list[Check]:
    """Write the repository `triton/` that serves the ONNX file."""
    place = write_repository(job.folder, job.folder / FOLDER)
    served = (place / "1" / "model.onnx").read_bytes() == (job.folder / "model.onnx").read_bytes()
    detail = f"{FOLDER}/{place.name} serves the verified model.onnx"
    return [decide("triton", served, detail if served else f"{FOLDER} holds another model")]
