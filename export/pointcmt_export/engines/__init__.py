"""Engines made of the ONNX file; each writes its files and checks them."""

from pointcmt_export.engines import openvino, tensorrt, triton
from pointcmt_export.engines.job import Engine, Job
from pointcmt_export.options import Options

__all__ = ["Engine", "Job", "engines"]


def engines(options: Options) -> list[Engine]:
    """Return the engines that a format asks for; the packages they need are looked for first.

    Raises:
        InputError: a package is missing.
    """
    chosen: list[Engine] = []
    if options.format in ("openvino", "all"):
        openvino.require()
        chosen.append(openvino.write)
    if options.format in ("trt", "all"):
        chosen.append(tensorrt.writer("trt"))
    if options.format in ("trt-rtx", "all"):
        chosen.append(tensorrt.writer("trt-rtx"))
    if options.format in ("triton", "all"):
        chosen.append(triton.write)
    return chosen
