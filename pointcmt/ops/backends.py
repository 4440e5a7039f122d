"""Which of the three backends serves a device: native, cuda, or the reference in plain torch."""

import functools
import warnings
from types import ModuleType

import torch

from pointcmt.native import MissingBackendWarning
from pointcmt.ops import native, reference


def serving(device: torch.device) -> ModuleType:
    """The module whose functions serve tensors on a device.

    Where the fast backend is missing, one `MissingBackendWarning` says what to install.
    """
    if device.type == "cpu" and native.available():
        return native
    if device.type == "cuda" and (cuda := _cuda()):
        return cuda
    _warn_missing(device.type)
    return reference


def missing(device: str) -> str:
    """What is not installed for a device type, and how to install it; empty for other devices."""
    return {
        "cpu": "the compiled library: install a C++17 compiler (g++ or clang++) and reinstall "
        "pointcmt to build it",
        "cuda": "NVRTC or cuda-bindings, which compile and launch the kernels: "
        "pip install 'pointcmt[cuda]'",
    }.get(device, "")


@functools.cache
def _cuda() -> ModuleType | None:
    from pointcmt.ops import cuda

    return cuda if cuda.available() else None


@functools.cache
def _warn_missing(device: str) -> None:
    if needed := missing(device):
        warnings.warn(
            f"sampling, neighbours and matching on {device} run in slow plain torch and scipy, "
            f"because {needed.replace(': ', ' is missing; ', 1)}",
            MissingBackendWarning,
            stacklevel=3,
        )
