"""Bad input raises, naming the argument, on every backend alike."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pointcmt import native as numpy_backend
from pointcmt import ops
from pointcmt.ops import native, reference

XYZ = torch.rand(2, 10, 3)
HUGE = torch.zeros(1).expand(1, 2**31, 3)  # one number in memory


def spoiled(value: float) -> Tensor:
    tensor = XYZ.clone()
    tensor[1, 3, 2] = value
    return tensor


BAD: list[tuple[str, tuple[Any, ...], type[Exception], str]] = [
    ("farthest_point_sample", (XYZ[0], 3), ValueError, "xyz must have the shape (B, N, 3)"),
    ("farthest_point_sample", (XYZ[..., :2], 3), ValueError, "xyz must have the shape (B, N, 3)"),
    ("farthest_point_sample", (XYZ, 11), ValueError, "m must be at most the 10 points of xyz"),
    ("farthest_point_sample", (XYZ, 0), ValueError, "m must be at least 1, not 0"),
    ("farthest_point_sample", (XYZ, 2.0), TypeError, "m must be a whole number, not float"),
    ("farthest_point_sample", (XYZ.int(), 3), TypeError, "xyz must hold floating-point numbers"),
    ("farthest_point_sample", (spoiled(np.nan), 3), ValueError, "xyz must be finite"),
    ("farthest_point_sample", (HUGE, 3), ValueError, "xyz must hold at most 2147483647 points"),
    ("ball_query", (XYZ, XYZ[..., :2], 0.1, 3), ValueError, "centers must have the shape"),
    ("ball_query", (XYZ, XYZ[:1], 0.1, 3), ValueError, "xyz and centers must have the same batch"),
    ("ball_query", (XYZ, XYZ, -0.1, 3), ValueError, "radius must be zero or more, not -0.1"),
    ("ball_query", (XYZ, XYZ, np.nan, 3), ValueError, "radius must be zero or more, not nan"),
    ("ball_query", (XYZ, XYZ, "wide", 3), TypeError, "radius must be a number, not str"),
    ("ball_query", (XYZ, XYZ, 0.1, 0), ValueError, "k must be at least 1, not 0"),
    ("ball_query", (XYZ, XYZ, 0.1, 1.5), TypeError, "k must be a whole number, not float"),
    ("ball_query", (XYZ[:, :0], XYZ, 0.1, 3), ValueError, "xyz must hold at least one point"),
    ("ball_query", (XYZ, XYZ.long(), 0.1, 3), TypeError, "centers must hold floating-point"),
    ("ball_query", (XYZ, spoiled(np.inf), 0.1, 3), ValueError, "centers must be finite"),
    ("ball_query", (XYZ[:1], HUGE, 0.1, 3), ValueError, "centers must hold at most 2147483647"),
    ("knn", (XYZ, XYZ[..., :2], 3), ValueError, "query and points must have the same number of"),
    ("knn", (XYZ, XYZ[:1], 3), ValueError, "query and points must have the same batch size"),
    ("knn", (XYZ[..., :0], XYZ[..., :0], 3), ValueError, "query must have at least one coordinate"),
    ("knn", (XYZ, XYZ[0], 3), ValueError, "points must have the shape (B, N, C)"),
    ("knn", (XYZ, XYZ, 11), ValueError, "k must be at most the 10 points of points, not 11"),
    ("knn", (XYZ, XYZ, 0), ValueError, "k must be at least 1, not 0"),
    ("knn", (XYZ, spoiled(-np.inf), 3), ValueError, "points must be finite"),
    ("knn", (XYZ[:1], HUGE, 3), ValueError, "points must hold at most 2147483647 points"),
    ("emd_matching", (XYZ, XYZ[:, :9]), ValueError, "x and y must have the same shape"),
    ("emd_matching", (XYZ, XYZ[:1]), ValueError, "x and y must have the same shape"),
    ("emd_matching", (XYZ[..., :2], XYZ[..., :2]), ValueError, "x must have the shape (B, N, 3)"),
    ("emd_matching", (XYZ, XYZ > 0), TypeError, "y must hold floating-point numbers"),
    ("emd_matching", (XYZ + 0j, XYZ), TypeError, "x must hold floating-point numbers"),
    ("emd_matching", (spoiled(np.nan), XYZ), ValueError, "x must be finite"),
    ("emd_matching", (XYZ, spoiled(np.inf)), ValueError, "y must be finite"),
    ("emd_matching", (HUGE, HUGE), ValueError, "x must hold at most 2147483647 points"),
]
CASES = [pytest.param(*case, id=f"{case[0]}-{case[3]}") for case in BAD]


@pytest.mark.parametrize("backend", [ops, native, reference], ids=["ops", "native", "reference"])
@pytest.mark.parametrize(("name", "arguments", "error", "message"), CASES)
def test_every_torch_backend_names_what_is_wrong(
    backend: ModuleType, name: str, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    op: Callable[..., Tensor] = getattr(backend, name)
    with pytest.raises(error, match=re.escape(message)):
        op(*arguments)


@pytest.mark.parametrize(("name", "arguments", "error", "message"), CASES)
def test_the_arrays_names_what_is_wrong(
    name: str, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    plain = [a.numpy() if isinstance(a, Tensor) else a for a in arguments]
    with pytest.raises(error, match=re.escape(message)):
        getattr(numpy_backend, name)(*plain)


TWO_DEVICES = [
    ("ball_query", (XYZ, XYZ.to("meta"), 0.1, 3), "xyz and centers"),
    ("knn", (XYZ, XYZ.to("meta"), 3), "query and points"),
    ("emd_matching", (XYZ, XYZ.to("meta")), "x and y"),
]


@pytest.mark.parametrize("backend", [ops, native, reference], ids=["ops", "native", "reference"])
@pytest.mark.parametrize(("name", "arguments", "both"), TWO_DEVICES)
def test_tensors_on_two_devices_are_refused(
    backend: ModuleType, name: str, arguments: tuple[Any, ...], both: str
) -> None:
    with pytest.raises(ValueError, match=f"{both} must lie on one device, not on cpu and meta"):
        getattr(backend, name)(*arguments)


def test_what_is_not_a_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="y must be a torch tensor, not ndarray"):
        ops.emd_matching(XYZ, XYZ.numpy())
    with pytest.raises(TypeError, match="xyz must be a numpy array, not list"):
        numpy_backend.farthest_point_sample([[[0.0, 0.0, 0.0]]], 1)
    with pytest.raises(TypeError, match="threads must be a whole number, not float"):
        numpy_backend.farthest_point_sample(XYZ.numpy(), 1, threads=1.5)


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match='reduction must be "sum" or "mean", not \'max\''):
        ops.earth_movers_distance(XYZ, XYZ, "max")
