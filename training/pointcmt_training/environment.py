"""What a run was made with: versions and machine, beside its figures."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("pointcmt", "torch", "numpy")


def environment(device: torch.device) -> dict[str, Any]:
    """Return versions of Python and packages, processor or GPU, and threads, as JSON's types."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "device": _device(device),
        "threads": torch.get_num_threads(),
    }


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor() or platform.processor() or platform.machine()


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")
