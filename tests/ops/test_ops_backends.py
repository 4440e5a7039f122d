import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from pointcmt import ops
from pointcmt.native import MissingBackendWarning, library
from pointcmt.ops import backends, native, reference
from pointcmt.ops.selftest import main
from tests.reference import clouds

KINDS = list(clouds.KINDS)


def cloud(kind: str, seed: int, points: int = 60) -> Tensor:
    return torch.from_numpy(clouds.batch(kind, seed, 3, points))


def cost(x: Tensor, y: Tensor, matching: Tensor) -> Tensor:
    return reference.distances(x, y).gather(2, matching[..., None]).sum((1, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_the_backends_return_the_same_indices(kind: str) -> None:
    xyz, centers = cloud(kind, 1), cloud("lattice", 2, 25)
    for op, arguments in (
        ("farthest_point_sample", (xyz, 40)),
        ("ball_query", (xyz, centers, 0.5, 70)),
        ("knn", (centers, xyz, 30)),
    ):
        expected = getattr(reference, op)(*arguments)
        assert expected.dtype == torch.int64
        for backend in (native, ops):
            torch.testing.assert_close(getattr(backend, op)(*arguments), expected, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_backends_find_matchings_of_equal_cost(kind: str) -> None:
    x, y = cloud(kind, 1), cloud("uniform", 2)
    expected = cost(x, y, reference.emd_matching(x, y))
    for backend in (native, ops):
        found = cost(x, y, backend.emd_matching(x, y))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


Prepare = Callable[[Tensor], Tensor]


@pytest.mark.parametrize("backend", [native, reference, ops], ids=["native", "reference", "ops"])
@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda t: t.half(), id="half"),
        pytest.param(lambda t: t.bfloat16(), id="bfloat16"),
        pytest.param(lambda t: t.double(), id="float64"),
        pytest.param(lambda t: t.mT.contiguous().mT, id="transposed"),
        pytest.param(lambda t: t.repeat_interleave(2, 1)[:, ::2], id="strided"),
        pytest.param(lambda t: t.clone().requires_grad_(), id="in autograd"),
    ],
)
def test_dtype_and_layout_change_only_the_input(backend: Any, prepare: Prepare) -> None:
    x, y = prepare(cloud("uniform", 1)), prepare(cloud("uniform", 2))
    plain_x, plain_y = x.detach().float().contiguous(), y.detach().float().contiguous()
    for op, numbers in (("farthest_point_sample", (9,)), ("knn", (7,)), ("ball_query", (0.3, 7))):
        count = 1 if op == "farthest_point_sample" else 2
        found = getattr(backend, op)(*(x, y)[:count], *numbers)
        expected = getattr(reference, op)(*(plain_x, plain_y)[:count], *numbers)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert not found.requires_grad
    found = cost(x, y, backend.emd_matching(x, y))
    expected = cost(x, y, reference.emd_matching(plain_x, plain_y))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_the_native_backend_serves_the_cpu() -> None:
    assert backends.serving(torch.device("cpu")) is native


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("POINTCMT_NATIVE", "/nowhere/_native.abi3.so")
    caches = [library.load, library.warn_missing, backends._warn_missing]
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("without_library")
def test_without_the_library_plain_torch_serves_after_one_warning() -> None:
    x = cloud("uniform", 1)
    with pytest.warns(MissingBackendWarning, match="C\\+\\+17 compiler"):
        chosen = ops.farthest_point_sample(x, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ops.emd_matching(x, x)
    torch.testing.assert_close(chosen, reference.farthest_point_sample(x, 9))


def test_a_gpu_without_nvrtc_falls_back_after_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointcmt.ops.cuda.available", lambda: False)
    for cache in (backends._cuda, backends._warn_missing):
        cache.cache_clear()
    with pytest.warns(MissingBackendWarning, match="NVRTC"):
        assert backends.serving(torch.device("cuda")) is reference
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backends.serving(torch.device("cuda")) is reference
    for cache in (backends._cuda, backends._warn_missing):
        cache.cache_clear()


def test_devices_without_a_fast_backend_are_served_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backends.serving(torch.device("mps")) is reference


def test_the_command_shows_which_backend_serves_each_op() -> None:
    shown = CliRunner().invoke(main, catch_exceptions=False)
    assert shown.exit_code == 0
    for op in ("farthest_point_sample", "ball_query", "knn", "emd_matching"):
        rows = [line for line in shown.output.splitlines() if line.startswith(op)]
        assert rows[0].split()[1:3] == ["cpu", "native"]
        assert len(rows) == 1 + torch.cuda.device_count()
        assert all(" ok " in row for row in rows)


@pytest.mark.usefixtures("without_library")
def test_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointcmt.ops.selftest.POINTS", 64)
    shown = CliRunner().invoke(main, catch_exceptions=False)
    assert shown.exit_code == 0
    assert "reference" in shown.output
    assert "slow on cpu for want of the compiled library: install a C++17" in shown.output


def test_the_command_fails_when_an_op_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = torch.zeros(1, 32, 20, dtype=torch.int64)
    monkeypatch.setattr("pointcmt.ops.selftest.POINTS", 64)
    monkeypatch.setattr("pointcmt.ops.selftest.ops.knn", lambda *_: wrong)
    shown = CliRunner().invoke(main, catch_exceptions=False)
    assert shown.exit_code == 1
    assert "WRONG" in shown.output
