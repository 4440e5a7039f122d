"""Which of the three faces serves a device: native, cuda, or the reference in plain torch."""

import functools
import importlib
import warnings
from types import ModuleType

import torch

from pointcmt.native import MissingFaceWarning
from pointcmt.ops import native, reference


def serving(device: torch.device) -> ModuleType:
    """The module whose functions serve tensors on a device.

    Where the fast face is missing, one `MissingFaceWarning` says what to install.
    """
    if device.type == "cpu" and native.available():
        return native
    if device.type == "cuda" and (cuda := _cuda()):
        return cuda
    _warn_missing(device.type)
    return reference


@functools.cache
def _cuda() -> ModuleType | None:
    cuda = importlib.import_module("pointcmt.ops.cuda")
    return cuda if cuda.available() else None


@functools.cache
def _warn_missing(device: str) -> None:
    remedies = {
        "cpu": "install a C++17 compiler (g++ or clang++) and reinstall pointcmt to build it",
        "cuda": "pip install nvidia-cuda-nvrtc-cu12 to compile it for this GPU at run time",
    }
    if device in remedies:
        warnings.warn(
            f"pointcmt's fast ops for {device} are missing, so sampling, neighbours and matching "
            f"run in plain torch and scipy; {remedies[device]}",
            MissingFaceWarning,
            stacklevel=3,
        )
