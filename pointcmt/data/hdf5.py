"""Reading the HDF5 files in which most of the field's data sets are distributed."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError


def read_hdf5(
    path: Path, keys: Sequence[str], points: int | None = None, optional: Sequence[str] = ()
) -> dict[str, Any]:
    """Read whole arrays of one HDF5 file.

    Args:
        path: the file.
        keys: the arrays to read; all must be there and have the same length.
        points: keep only the first so many along axis 1 of the arrays that have one longer than 1.
        optional: further arrays, read where they are there.

    Returns:
        The arrays by key.

    Raises:
        InputError: the file is missing, not HDF5, truncated, empty, locked by another program, or
            lacks a key.
    """
    import h5py

    if not path.is_file():
        raise InputError(f"{path}: no such file; an HDF5 file with {_list(keys)} was expected")
    try:
        with h5py.File(path, "r") as file:
            _require_keys(path, file, keys)
            wanted = [*keys, *(key for key in optional if key in file)]
            arrays = {key: _read(file[key], points) for key in wanted}
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"{path}: {_reason(path, error)}") from error
    _require_one_length(path, arrays)
    return arrays


def _read(array: Any, points: int | None) -> NDArray[Any]:
    if points is not None and points > 0 and array.ndim > 1 and array.shape[1] > 1:
        return np.asarray(array[:, :points])
    return np.asarray(array[()])


def _require_keys(path: Path, file: Any, keys: Sequence[str]) -> None:
    missing = [key for key in keys if key not in file]
    if missing:
        raise InputError(
            f"{path}: has no array {_list(missing)} (it has {_list(sorted(file)) or 'none'}); "
            f"{_list(keys)} were expected"
        )


def _require_one_length(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    lengths = {key: array.shape[0] if array.ndim else -1 for key, array in arrays.items()}
    if len(set(lengths.values())) > 1 or -1 in lengths.values():
        raise InputError(f"{path}: its arrays have different lengths {lengths}; one was expected")


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, BlockingIOError):
        return "another program has it open for writing; close it there, or copy the file"
    if isinstance(error, PermissionError):
        return "cannot be read (Permission denied)"
    start = b""
    with suppress(OSError):
        start = path.open("rb").read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return f"the HDF5 file is truncated or damaged ({error}); fetch it again"
    if start.lstrip().startswith(b"<"):
        return "this is a web page, not an HDF5 file; the download failed, fetch it again"
    return "not an HDF5 file; fetch it again"


def require_clouds(data: NDArray[Any], path: Path) -> NDArray[np.float32]:
    """Return (n, N, 3) numbers as float32, or raise an `InputError`."""
    if data.ndim != 3 or data.shape[2] != 3 or data.dtype.kind not in "fiu" or data.size == 0:
        raise InputError(
            f"{path}: `data` is {data.shape} {data.dtype}; (n, N, 3) numbers were expected"
        )
    return np.ascontiguousarray(data, dtype=np.float32)


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
