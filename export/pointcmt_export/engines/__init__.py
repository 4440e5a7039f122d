"""Engines made of the ONNX file; each writes its files and checks them."""

from collections.abc import Callable

from pointcmt.errors import InputError
from pointcmt_export.engines import openvino, tensorrt, triton
from pointcmt_export.engines.job import Engine, Job
from pointcmt_export.options import Options
from pointcmt_export.verification import Check

__all__ = ["Engine", "Job", "engines"]

WRITERS: dict[str, Callable[[], Engine]] = {
    "openvino": openvino.writer,
    "trt": lambda: tensorrt.writer("trt"),
    "trt-rtx": lambda: tensorrt.writer("trt-rtx"),
    "triton": lambda: triton.write,
}


def engines(options: Options) -> list[Engine]:
    """Return the engines that a format asks for; the packages they need are looked for first.

    For "all" an engine that cannot be made here is reported as not run, with the reason.

    Raises:
        InputError: the package of the one format asked for is missing.
    """
    if options.format == "all":
        return [_if_possible(name, make) for name, make in WRITERS.items()]
    return [WRITERS[options.format]()] if options.format in WRITERS else []


def _if_possible(name: str, make: Callable[[], Engine]) -> Engine:
    def write(job: Job) -> list[Check]:
        try:
            return make()(job)
        except InputError as error:
            return [Check(name, "not run", str(error))]

    return write
