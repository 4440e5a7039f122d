"""Decoders for `pointcmt.geometry.formats.apart` that do what a hostile file may lead one to."""

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def endless(path: Path) -> dict[str, NDArray[Any]]:
    """Say which process this is, in a file beside `path`, and hold the interpreter."""
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path.with_suffix(".pid"))
    ctypes.PyDLL(None).sleep(60)
    return {}


def greedy(_: Path) -> dict[str, NDArray[Any]]:
    """Take 300 MiB, to give little."""
    return {"x": np.ones(300 << 17)[:2].copy()}


def two(_: Path) -> dict[str, NDArray[Any]]:
    """Give two columns."""
    return {"x": np.arange(3), "file": np.ones(3, np.float32)}
