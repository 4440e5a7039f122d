import ctypes
import multiprocessing
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pointcmt import native
from pointcmt.native import library, plain
from tests.reference import assignment, clouds

INSTRUCTION_SETS = ["avx512", "avx2", "baseline"]


@pytest.fixture
def loaded() -> Iterator[ctypes.CDLL]:
    """The library; afterwards the best instruction set is chosen again."""
    found = library.load()
    assert found is not None
    best = native.instruction_set()
    yield found
    assert best is not None
    found.pointcmt_choose_kernels(best.encode())


def test_the_library_was_built() -> None:
    assert native.available(), "no compiler at install: `pip install -e .` built a slow package"
    assert native.instruction_set() in INSTRUCTION_SETS


@pytest.mark.parametrize("name", INSTRUCTION_SETS)
def test_every_instruction_set_gives_the_same_indices(name: str, loaded: ctypes.CDLL) -> None:
    if not loaded.pointcmt_choose_kernels(name.encode()):
        pytest.skip(f"this processor does not run {name}")
    assert native.instruction_set() == name
    features = np.random.default_rng(0).standard_normal((2, 150, 40)).astype(np.float32)
    np.testing.assert_array_equal(
        native.knn(features, features, 20), plain.knn(features, features, 20)
    )
    index = native.knn(features, features, 20)[0]
    expected = features[0][index].max(axis=1)
    np.testing.assert_array_equal(native.gathered_maximum(features[0], index), expected)
    for kind in clouds.KINDS:
        x, y = clouds.batch(kind, 1, 2, 150), clouds.batch("uniform", 2, 2, 150)
        expected = plain.farthest_point_sample(x, 70)
        np.testing.assert_array_equal(native.farthest_point_sample(x, 70), expected)
        np.testing.assert_array_equal(native.knn(y, x, 20), plain.knn(y, x, 20))
        expected = plain.ball_query(x, y, 0.3, 20)
        np.testing.assert_array_equal(native.ball_query(x, y, 0.3, 20), expected)
        for a, b, match in zip(x, y, native.emd_matching(x, y), strict=True):
            best = assignment.optimum(a, b)
            assert assignment.cost(a, b, match) == pytest.approx(best, rel=1e-9)


def test_an_unknown_instruction_set_is_refused(loaded: ctypes.CDLL) -> None:
    assert not loaded.pointcmt_choose_kernels(b"mmx")


def test_many_callers_at_once_get_their_own_results() -> None:
    def solve(seed: int) -> bool:
        x, y = clouds.batch("uniform", seed, 6, 60), clouds.batch("lattice", seed, 6, 60)
        expected = [native.emd_matching(x, y, threads=1), native.knn(x, y, 7, threads=1)]
        found = [native.emd_matching(x, y, threads=3), native.knn(x, y, 7, threads=3)]
        return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(solve, range(40)))


def _sample_in_child(seed: int) -> list[list[int]]:
    sampled: list[list[int]] = native.farthest_point_sample(
        clouds.batch("uniform", seed, 4, 100), 20, threads=3
    ).tolist()
    return sampled


@pytest.mark.skipif(sys.platform == "win32", reason="no fork here")
def test_the_threads_work_in_a_forked_child() -> None:
    expected = _sample_in_child(0)  # starts the threads that a child does not inherit
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(_sample_in_child, [0, 0]).get(timeout=60) == [expected, expected]


@pytest.mark.parametrize(("asked", "expected"), [("3", 3), ("2,4", 2)])
def test_omp_num_threads_is_honoured(
    asked: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert library.default_threads() == expected


@pytest.mark.parametrize("asked", ["", "0", "many", "-1"])
def test_a_meaningless_omp_num_threads_means_all_processors(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    everything = library.default_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert library.default_threads() == everything >= 1


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if no compiler had been there at install."""
    monkeypatch.setenv("POINTCMT_NATIVE", "/nowhere/_native.abi3.so")
    library.load.cache_clear()
    library.warn_missing.cache_clear()
    yield
    library.load.cache_clear()
    library.warn_missing.cache_clear()


@pytest.mark.usefixtures("without_library")
def test_without_the_library_numpy_serves_after_one_warning() -> None:
    x, y = clouds.batch("uniform", 1, 2, 30), clouds.batch("uniform", 2, 2, 30)
    with pytest.warns(native.MissingBackendWarning, match="install a C\\+\\+17 compiler"):
        chosen = native.farthest_point_sample(x, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near = native.knn(x, y, 4)
        found = native.ball_query(x, y, 0.3, 4)
        matching = native.emd_matching(x, y)
    assert not native.available()
    assert native.instruction_set() is None
    np.testing.assert_array_equal(chosen, plain.farthest_point_sample(x, 9))
    np.testing.assert_array_equal(near, plain.knn(x, y, 4))
    np.testing.assert_array_equal(found, plain.ball_query(x, y, 0.3, 4))
    for a, b, match in zip(x, y, matching, strict=True):
        assert assignment.cost(a, b, match) == pytest.approx(assignment.optimum(a, b), rel=1e-12)


@pytest.mark.usefixtures("without_library")
def test_without_the_library_and_scipy_the_matching_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    cloud = clouds.batch("uniform", 1, 1, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", native.MissingBackendWarning)
        with pytest.raises(ImportError, match="install scipy"):
            native.emd_matching(cloud, cloud)


@pytest.mark.usefixtures("without_library")
def test_prices_need_the_library() -> None:
    cloud = clouds.batch("uniform", 1, 1, 4)
    with pytest.raises(RuntimeError, match="compiled library"):
        native.emd_prices(cloud, cloud)


def test_the_package_loads_neither_torch_nor_scipy() -> None:
    code = (
        "import sys, numpy as np\n"
        "from pointcmt import native\n"
        "native.emd_matching(np.zeros((1, 4, 3)), np.zeros((1, 4, 3)))\n"
        "assert not {'torch', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
