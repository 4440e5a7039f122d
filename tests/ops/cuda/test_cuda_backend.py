"""What the cuda backend refuses, and when it says that it is there."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pointcmt import kernels
from pointcmt.ops import cuda
from pointcmt.ops.cuda import matching
from tests.ops.cuda.emulation import Emulator

X = torch.zeros(2, 8, 3)
NAN = torch.full((2, 8, 3), torch.nan)
Call = Callable[[], Tensor]
WRONG_VALUES: list[tuple[str, Call]] = [
    ("xyz must have the shape", lambda: cuda.farthest_point_sample(X[0], 2)),
    ("m must be at most the 8 points", lambda: cuda.farthest_point_sample(X, 9)),
    ("m must be at least 1", lambda: cuda.farthest_point_sample(X, 0)),
    ("xyz must be finite", lambda: cuda.farthest_point_sample(NAN, 2)),
    ("centers must have the shape", lambda: cuda.ball_query(X, X[..., :2], 1.0, 2)),
    ("same batch size", lambda: cuda.ball_query(X, X[:1], 1.0, 2)),
    ("radius must be zero or more", lambda: cuda.ball_query(X, X, -1.0, 2)),
    ("k must be at least 1", lambda: cuda.ball_query(X, X, 1.0, 0)),
    ("centers must be finite", lambda: cuda.ball_query(X, NAN, 1.0, 2)),
    ("k must be at most the 8 points", lambda: cuda.knn(X, X, 9)),
    ("same number of coordinates", lambda: cuda.knn(X[..., :2], X, 2)),
    ("points must be finite", lambda: cuda.knn(X, NAN, 2)),
    ("x and y must have the same shape", lambda: cuda.emd_matching(X, X[:, :7])),
    ("y must have the shape", lambda: cuda.emd_matching(X, X[..., :2])),
    ("y must be finite", lambda: cuda.emd_matching(X, NAN)),
    ("tolerance must be zero", lambda: cuda.certified_matching(X, X, -1e-3).matching),
    ("tolerance must be zero", lambda: cuda.certified_matching(X, X, float("nan")).matching),
    ("on one device", lambda: cuda.emd_matching(X, X.to("meta"))),
]
WRONG_TYPES: list[tuple[str, Call]] = [
    ("xyz must hold floating", lambda: cuda.farthest_point_sample(X.long(), 2)),
    ("m must be a whole number", lambda: cuda.farthest_point_sample(X, 2.5)),  # type: ignore[arg-type]
    ("centers must hold floating", lambda: cuda.ball_query(X, X.int(), 1.0, 2)),
    ("query must hold floating", lambda: cuda.knn(X.bool(), X, 2)),
    ("x must hold floating", lambda: cuda.emd_matching(X.long(), X)),
]


@pytest.mark.parametrize(("message", "call"), WRONG_VALUES)
def test_wrong_values_name_the_argument(emulator: Emulator, message: str, call: Call) -> None:
    with pytest.raises(ValueError, match=message):
        call()
    assert not emulator.launches


@pytest.mark.parametrize(("message", "call"), WRONG_TYPES)
def test_wrong_types_name_the_argument(emulator: Emulator, message: str, call: Call) -> None:
    with pytest.raises(TypeError, match=message):
        call()
    assert not emulator.launches


def test_more_points_than_a_key_can_tell_apart_are_refused(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "MOST_POINTS", 7)
    with pytest.raises(ValueError, match="at most 7 points a cloud, not 8"):
        cuda.emd_matching(X, X)


@pytest.mark.parametrize(("gpu", "compiler"), [(True, True), (True, False), (False, True)])
def test_the_backend_is_there_when_a_gpu_and_nvrtc_are(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, compiler: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(kernels, "available", lambda: compiler)
    assert cuda.available() == (gpu and compiler)
