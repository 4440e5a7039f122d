"""The table of formats: flags, docs, report and model card draw from it.

A format is a module here, with a function `writer` (see `Format.writer`), and one record below.
"""

from functools import partial

from pointcmt.errors import InputError
from pointcmt_export.formats import requirements
from pointcmt_export.formats.format import Format, Job, Write

__all__ = ["ALL", "FORMATS", "Format", "Job", "Write", "chosen_formats"]

ALL = "all"
FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format(
            name="onnx",
            files=("model.onnx",),
            runs_with="onnxruntime on CPU and CUDA, `pointcmt_serve`",
            engine="onnxruntime",
            extra="export",
            needs="",
            module="pointcmt_export.formats.onnx",
        ),
        Format(
            name="openvino",
            files=("model.onnx",),
            runs_with="OpenVINO on the CPU, in float32",
            engine="openvino",
            extra="export,openvino",
            needs="`--sampling host`",
            module="pointcmt_export.formats.openvino",
            requires=requirements.openvino,
        ),
        Format(
            name="trt",
            files=("model.engine", "model.engine.json"),
            runs_with="TensorRT 10.4 to 11 on the GPU it was built on",
            engine="tensorrt",
            extra="trt",
            needs="that GPU",
            module="pointcmt_export.formats.tensorrt",
            requires=partial(requirements.tensorrt, "trt"),
        ),
        Format(
            name="trt-rtx",
            files=("model.rtx.engine", "model.rtx.engine.json"),
            runs_with="TensorRT-RTX on RTX GPUs, not on a V100, H100 or H200",
            engine="tensorrt-rtx",
            extra="trt-rtx",
            needs="no GPU",
            module="pointcmt_export.formats.tensorrt",
            requires=partial(requirements.tensorrt, "trt-rtx"),
        ),
        Format(
            name="triton",
            files=("triton/NAME/",),
            runs_with="Triton Inference Server",
            engine=None,
            extra="export",
            needs="",
            module="pointcmt_export.formats.triton",
            requires=requirements.triton,
        ),
        Format(
            name="web",
            files=("web/",),
            runs_with="any browser of 2021 or later, from any static host",
            engine=None,
            extra="export",
            needs="the built page (`make page`)",
            module="pointcmt_export.formats.web",
            requires=requirements.web,
        ),
    )
}


def chosen_formats(name: str) -> list[Format]:
    """Return the formats that `--format` NAME stands for; the ONNX file comes first always.

    Raises:
        InputError: there is no such format.
    """
    first, *others = FORMATS.values()
    if name == ALL:
        return [first, *others]
    if name not in FORMATS:
        raise InputError(f"unknown format {name!r}; use one of {', '.join([*FORMATS, ALL])}")
    return [first, *(each for each in others if each.name == name)]
