"""The engines that run an exported student: one session each, and the table of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt_serve.artefact import BESIDE, MODEL_FILE, file_name, find_file
from pointcmt_serve.engines.device import Device, parse_device
from pointcmt_serve.engines.onnxruntime import OnnxSession
from pointcmt_serve.engines.openvino import OpenVinoSession
from pointcmt_serve.engines.session import Outputs, Session
from pointcmt_serve.engines.tensorrt import TensorRtSession

__all__ = ["ENGINES", "Device", "Engine", "Outputs", "Session", "open_session", "parse_device"]


@dataclass(frozen=True)
class Engine:
    """An engine.

    Attributes:
        file: what it runs, by its name in an exported folder.
        form: the format of pointcmt-export that writes that file.
        open: makes a session of that file, on a device, with so many threads a call.
        extra: the extra of the package that installs what it needs.
        devices: the kinds of device it runs on.
        note: what to know when choosing it.
    """

    file: str
    form: str
    open: Callable[[Path, Device, int], Session]
    extra: str
    devices: tuple[str, ...]
    note: str


ENGINES: dict[str, Engine] = {
    "onnxruntime": Engine(
        "model.onnx", "onnx", OnnxSession, "serve", ("cpu", "cuda"), "runs every export"
    ),
    "openvino": Engine(
        "model.onnx", "onnx", OpenVinoSession, "openvino", ("cpu",), "is often faster on a CPU"
    ),
    "tensorrt": Engine(
        "model.engine",
        "trt",
        partial(TensorRtSession, "trt"),
        "tensorrt",
        ("cuda",),
        "on the GPU it was built for",
    ),
    "tensorrt-rtx": Engine(
        "model.rtx.engine",
        "trt-rtx",
        partial(TensorRtSession, "trt-rtx"),
        "tensorrt-rtx",
        ("cuda",),
        "on any RTX GPU",
    ),
}


def open_session(
    path: Path | str,
    engine: str = "onnxruntime",
    device: str = "auto",
    threads: int = 0,
    precision: str | None = None,
) -> Session:
    """Open an exported student.

    Args:
        path: the exported folder, or the file in it that the engine runs.
        engine: a name in `ENGINES`.
        device: "cpu", "cuda", "cuda:N", or "auto" for what the engine prefers where it is there.
        threads: threads of one call on the CPU; 0 leaves the choice to the engine.
        precision: "fp32", "fp16", "bf16" or "int8", which the file must have; None takes that of
            the file, `model.onnx` in a folder.

    Raises:
        InputError: `path` holds no exported student, the engine is unknown or not installed, it
            cannot run the student on this device, or not in this precision.
    """
    if engine not in ENGINES:
        raise InputError(f"unknown engine {engine!r}; use {' or '.join(ENGINES)}")
    chosen, place = ENGINES[engine], parse_device(device)
    if place.kind not in ("auto", *chosen.devices):
        others = [name for name, other in ENGINES.items() if place.kind in other.devices]
        raise InputError(
            f"engine {engine} runs on {' or '.join(chosen.devices)}, not on {device}; "
            f"use engine {' or '.join(others)} for that"
        )
    if precision in BESIDE and chosen.file != MODEL_FILE:
        others = [name for name, other in ENGINES.items() if other.file == MODEL_FILE]
        raise InputError(
            f"engine {engine} runs no {precision} file; use engine {' or '.join(others)}"
        )
    how = f"{chosen.form} --precision {precision}" if precision in BESIDE else chosen.form
    file = find_file(path, file_name(chosen.file, precision), how)
    try:
        session = chosen.open(file, place, threads)
    except ImportError as error:
        raise InputError(
            f"engine {engine} needs {error.name or error}, which is not installed; "
            f"install it with: pip install 'pointcmt[{chosen.extra}]'"
        ) from error
    held = session.artefact.precision
    if precision not in (None, held):
        raise InputError(
            f"{file}: computes in {held}, not in {precision}; "
            f"export it with --precision {precision}"
        )
    return session
