"""The compiled library: where it lies, its functions, and how they are called."""

import ctypes
import functools
import importlib.util
import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIZE, _COUNT = ctypes.c_int64, ctypes.c_int32
_ARRAY = ctypes.c_void_p
_SIGNATURES: dict[str, list[Any]] = {
    "farthest_point_sample": [_ARRAY, _SIZE, _SIZE, _SIZE, _ARRAY, _COUNT],
    "ball_query": [
        *(_ARRAY, _ARRAY, _SIZE, _SIZE, _SIZE),
        *(ctypes.c_float, _SIZE, _ARRAY, _COUNT),
    ],
    "knn": [_ARRAY, _ARRAY, _SIZE, _SIZE, _SIZE, _SIZE, _SIZE, _ARRAY, _COUNT],
    "gathered_maximum": [_ARRAY, _ARRAY, _SIZE, _SIZE, _SIZE, _ARRAY, _COUNT],
    "match_float": [_ARRAY, _ARRAY, _SIZE, _SIZE, _ARRAY, _ARRAY, _COUNT],
    "match_double": [_ARRAY, _ARRAY, _SIZE, _SIZE, _ARRAY, _ARRAY, _COUNT],
    "choose_kernels": [ctypes.c_char_p],
}


class MissingBackendWarning(RuntimeWarning):
    """An op runs slower than it could, because a fast implementation is not installed."""


@functools.cache
def load() -> ctypes.CDLL | None:
    """The compiled library, or None where it was not built or does not load here.

    POINTCMT_NATIVE names another build of it to load, such as one with a sanitizer.
    """
    spec = importlib.util.find_spec("pointcmt.native._native")
    path = os.environ.get("POINTCMT_NATIVE") or (spec.origin if spec else None)
    if path is None:
        return None
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return None
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, f"pointcmt_{name}")
        function.argtypes, function.restype = arguments, ctypes.c_int32
    library.pointcmt_kernels.restype = ctypes.c_char_p
    return library


def instruction_set() -> str | None:
    """The instruction set the library runs with: baseline, avx2 or avx512; None without it."""
    library = load()
    return library.pointcmt_kernels().decode() if library else None


def call(name: str, *arguments: Any) -> None:
    """Run a function of the library; arrays are passed by address.

    Raises:
        MemoryError: the library could not allocate its workspace.
    """
    library = load()
    assert library is not None, "callers ask `load` first"  # noqa: S101
    plain = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    if getattr(library, f"pointcmt_{name}")(*plain):
        raise MemoryError(f"{name} could not allocate its workspace")


def dense(array: NDArray[Any], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """The array as the library reads it: row-major, in the dtype."""
    return np.ascontiguousarray(array, dtype)


def default_threads() -> int:
    """OMP_NUM_THREADS where it holds a positive number, else the processors at hand."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def warn_missing() -> None:
    """Say once that the library is missing."""
    warnings.warn(
        "pointcmt's compiled library is missing, so sampling, neighbours and matching run in slow "
        "Python; install a C++17 compiler (g++ or clang++) and reinstall pointcmt to build it",
        MissingBackendWarning,
        stacklevel=3,
    )
