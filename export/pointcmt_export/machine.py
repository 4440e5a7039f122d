"""The machine beside the figures: without it they mean nothing."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    *("numpy", "torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "openvino"),
    *("tensorrt", "tensorrt-cu12", "tensorrt-rtx", "tensorrt-rtx-cu12-bindings"),
)
GPU_QUERY = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,clocks.mem"


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, clocks, memory, GPU and system, as far as they can be read."""
    return {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "clock_mhz": float(_cpuinfo("cpu MHz") or 0) or None,
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_average": os.getloadavg()[0],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": _gpu(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that are installed, of those that matter here."""
    return {name: version for name in PACKAGES if (version := _version(name))}


def _cpuinfo(key: str) -> str | None:
    lines = (_text("/proc/cpuinfo") or "").splitlines()
    found = (line.split(":", 1)[1].strip() for line in lines if line.split("\t")[0] == key)
    return next(found, None)


def _text(path: str) -> str | None:
    file = Path(path)
    return file.read_text().strip() if file.is_file() else None


def _gpu() -> dict[str, str] | None:
    command = ["nvidia-smi", f"--query-gpu={GPU_QUERY}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    values = done.stdout.splitlines()[0].split(", ")
    return dict(zip(GPU_QUERY.split(","), values, strict=False))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
