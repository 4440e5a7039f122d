import numpy as np
import pytest

from pointcmt import native
from tests.reference import assignment, clouds

KINDS = list(clouds.KINDS)
SIZES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 34, 100, 255, 257]


def assert_optimal(x: np.ndarray, y: np.ndarray, matching: np.ndarray) -> None:
    for a, b, match in zip(x, y, matching, strict=True):
        assert assignment.is_bijection(match)
        rounding = 1e-13 * len(a) * assignment.table(a, b).max(initial=0)
        best = pytest.approx(assignment.optimum(a, b), rel=1e-9, abs=rounding)
        assert assignment.cost(a, b, match) == best


@pytest.mark.parametrize("n", SIZES)
def test_the_cost_is_the_optimum_of_scipy(n: int) -> None:
    x, y = clouds.batch("uniform", n, 4, n), clouds.batch("uniform", n + 1, 4, n)
    assert_optimal(x, y, native.emd_matching(x, y))


@pytest.mark.parametrize("n", [1023, 1024, 1025])
def test_the_cost_is_the_optimum_around_a_thousand_points(n: int) -> None:
    x, y = clouds.batch("uniform", n, 1, n), clouds.batch("uniform", n + 1, 1, n)
    assert_optimal(x, y, native.emd_matching(x, y))


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_degenerate_clouds_are_matched_optimally(first: str, second: str) -> None:
    x, y = clouds.batch(first, 1, 2, 60), clouds.batch(second, 2, 2, 60)
    assert_optimal(x, y, native.emd_matching(x, y))


def test_no_permutation_is_better() -> None:
    for seed in range(20):
        x, y = (clouds.batch("uniform", 2 * seed + side, 1, 6) for side in (0, 1))
        match = native.emd_matching(x, y)[0]
        best = assignment.optimum_of_all(x[0], y[0])
        assert assignment.cost(x[0], y[0], match) == pytest.approx(best, rel=1e-12)


def test_at_least_ten_thousand_random_problems_agree_with_scipy() -> None:
    random = np.random.default_rng(0)
    solved = 0
    while solved < 10_000:
        n = int(random.integers(1, 25) if random.random() < 0.95 else random.integers(25, 80))
        dtype = np.float32 if random.random() < 0.7 else np.float64
        pairs = [clouds.pair(random, n) for _ in range(20)]
        x, y = (np.stack(side).astype(dtype) for side in zip(*pairs, strict=True))
        assert_optimal(x, y, native.emd_matching(x, y, threads=1))
        solved += len(pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_prices_prove_the_matching_optimal(kind: str) -> None:
    x, y = clouds.batch(kind, 5, 3, 90), clouds.batch("uniform", 6, 3, 90)
    matching, prices = native.emd_prices(x, y)
    for a, b, match, p in zip(x, y, matching, prices, strict=True):
        bound = (assignment.table(a, b) + p).min(1).sum() - p.sum()
        assert assignment.cost(a, b, match) == pytest.approx(bound, rel=1e-9)


@pytest.mark.parametrize("n", [300, 1100, 2100])
@pytest.mark.parametrize("kind", KINDS)
def test_larger_clouds_are_matched_optimally(kind: str, n: int) -> None:
    """Sizes at which prices are guessed from groups, and at which no table of costs is kept."""
    x, y = clouds.batch(kind, 5, 1, n), clouds.batch("uniform", 6, 1, n)
    for a, b in ((x, y), (y, x), (x, x[:, ::-1]))[: 3 if n < 2048 else 1]:
        matching, prices = native.emd_prices(a, b)
        table = assignment.table(a[0], b[0])
        bound = (table + prices[0]).min(1).sum() - prices[0].sum()
        rounding = 1e-13 * n * table.max()
        assert assignment.is_bijection(matching[0])
        best = pytest.approx(bound, rel=1e-9, abs=rounding)
        assert assignment.cost(a[0], b[0], matching[0]) == best


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e6, 1e30])
def test_the_cost_grows_with_the_scale(scale: float) -> None:
    x, y = (clouds.batch("uniform", seed, 1, 70, dtype=np.float64) for seed in (1, 2))
    match = native.emd_matching(x * scale, y * scale)[0]
    assert assignment.cost(x[0], y[0], match) == pytest.approx(assignment.optimum(x[0], y[0]))


@pytest.mark.parametrize("exponent", [-320, -300, 150, 300])
def test_float64_may_be_as_small_or_large_as_it_can(exponent: int) -> None:
    x, y = (clouds.batch("uniform", seed, 1, 40, dtype=np.float64) for seed in (1, 2))
    x, y = x * 10.0**exponent, y * 10.0**exponent
    match = native.emd_matching(x, y)[0]
    unit = max(x.max(), y.max())
    best = assignment.optimum(x[0] / unit, y[0] / unit)
    assert assignment.cost(x[0] / unit, y[0] / unit, match) == pytest.approx(best, rel=1e-9)


def test_a_far_offset_changes_nothing() -> None:
    x, y = (clouds.batch("uniform", seed, 2, 80).astype(np.float64) for seed in (1, 2))
    x, y = x.round(3) + 1e3, y.round(3) + 1e3
    assert_optimal(x, y, native.emd_matching(x, y))


def test_close_points_far_from_the_others_are_told_apart() -> None:
    x, y = (1e-7 * clouds.batch("uniform", seed, 1, 64, dtype=np.float64) for seed in (1, 2))
    x[:, 0] = y[:, 0] = 1.0
    assert_optimal(x, y, native.emd_matching(x, y))


def test_the_result_does_not_depend_on_threads() -> None:
    x, y = clouds.batch("uniform", 1, 9, 130), clouds.batch("lattice", 2, 9, 130)
    once = native.emd_matching(x, y, threads=1)
    for threads in (2, 3, 16):
        np.testing.assert_array_equal(native.emd_matching(x, y, threads=threads), once)


def test_the_result_does_not_depend_on_what_was_solved_before() -> None:
    x, y = clouds.batch("clustered", 1, 2, 50), clouds.batch("uniform", 2, 2, 50)
    fresh = native.emd_matching(x, y, threads=1)
    native.emd_matching(clouds.batch("uniform", 3, 1, 200), clouds.batch("lattice", 4, 1, 200))
    np.testing.assert_array_equal(native.emd_matching(x, y, threads=1), fresh)


def test_empty_batches_and_empty_clouds_give_empty_matchings() -> None:
    assert native.emd_matching(np.empty((0, 5, 3)), np.empty((0, 5, 3))).shape == (0, 5)
    assert native.emd_matching(np.empty((4, 0, 3)), np.empty((4, 0, 3))).shape == (4, 0)


def test_layout_and_half_precision_change_only_the_input() -> None:
    x, y = (clouds.batch("uniform", seed, 3, 40) for seed in (1, 2))
    strided = np.asfortranarray(x)
    np.testing.assert_array_equal(native.emd_matching(strided, y), native.emd_matching(x, y))
    half = x.astype(np.float16)
    expected = native.emd_matching(half.astype(np.float32), y)
    np.testing.assert_array_equal(native.emd_matching(half, y), expected)


def test_float64_is_not_rounded() -> None:
    x = np.zeros((1, 2, 3))
    y = np.zeros((1, 2, 3))
    x[0, :, 0] = [1.0, 1.0 + 1e-12]
    y[0, :, 0] = [1.0 + 1e-12, 1.0]
    assert native.emd_matching(x, y).tolist() == [[1, 0]]
