import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pointcmt import native
from pointcmt.native import plain
from tests.reference import clouds
from tests.reference import neighbours as oracle

KINDS = list(clouds.KINDS)
SIZES = [1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 100, 257]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 5, 21])
def test_ops_follow_their_definitions_point_by_point(kind: str, n: int) -> None:
    xyz, centers = clouds.batch(kind, 1, 2, n), clouds.batch(kind, 2, 2, 4)
    chosen = native.farthest_point_sample(xyz, n)
    near = native.knn(centers, xyz, n)
    found = native.ball_query(xyz, centers, 0.7, 6)
    for b in range(2):
        assert chosen[b].tolist() == oracle.farthest_point_sample(xyz[b], n)
        for c, center in enumerate(centers[b]):
            assert near[b, c].tolist() == oracle.knn(center, xyz[b], n)
            assert found[b, c].tolist() == oracle.ball_query(xyz[b], center, 0.7, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_and_plain_sampling_choose_the_same_points(kind: str) -> None:
    for n in SIZES:
        xyz = clouds.batch(kind, n, 3, n)
        expected = plain.farthest_point_sample(xyz, n)
        found = native.farthest_point_sample(xyz, n)
        np.testing.assert_array_equal(found, expected, f"{n} points")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("radius", "k"), [(0.0, 1), (0.3, 1), (0.3, 16), (1.0, 40), (1e3, 300)])
def test_compiled_and_plain_balls_hold_the_same_points(kind: str, radius: float, k: int) -> None:
    for n in SIZES:
        xyz, centers = clouds.batch(kind, n, 2, n), clouds.batch(kind, n, 2, 19)
        expected = plain.ball_query(xyz, centers, radius, k)
        found = native.ball_query(xyz, centers, radius, k)
        np.testing.assert_array_equal(found, expected, f"{n} points")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 1.0])
def test_compiled_and_plain_neighbours_are_the_same(kind: str, share: float) -> None:
    for n in SIZES:
        points, query = clouds.batch(kind, n, 2, n), clouds.batch(kind, n + 1, 2, 23)
        k = max(1, int(share * n))
        expected = plain.knn(query, points, k)
        np.testing.assert_array_equal(native.knn(query, points, k), expected, f"{n} points")


@pytest.mark.parametrize("channels", [1, 2, 4, 16, 17, 64, 128])
@pytest.mark.parametrize("k", [1, 20, 60, 150])
def test_neighbours_in_feature_space_are_the_same(channels: int, k: int) -> None:
    random = np.random.default_rng(channels)
    points = random.standard_normal((2, 150, channels)).astype(np.float32)
    np.testing.assert_array_equal(native.knn(points, points, k), plain.knn(points, points, k))


FEATURES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]] = {
    "ties": np.round,
    "equal": lambda x: np.repeat(x[:, ::3], 3, axis=1),
    "positive": lambda x: np.maximum(x, 0),
    "far from the origin": lambda x: x + 1e3,
    "a little apart": lambda x: 1 + 1e-6 * x,
    "tiny": lambda x: 1e-23 * x,
    "too large to square": lambda x: 1e20 * x,
    "some too large to square": lambda x: np.where(x > 2, 1e20 * x, x),
}


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("channels", [9, 64])
def test_hard_features_have_the_same_neighbours(kind: str, channels: int) -> None:
    random = np.random.default_rng(channels)
    points = FEATURES[kind](random.standard_normal((2, 300, channels))).astype(np.float32)
    query = np.concatenate([points[:, ::7], -points[:, ::9]], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(native.knn(query, points, 20), plain.knn(query, points, 20))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("share", [0.01, 0.9, 1.0])
@pytest.mark.parametrize("channels", [3, 64])
def test_unchecked_points_give_indices_of_points(value: float, share: float, channels: int) -> None:
    random = np.random.default_rng(0)
    points = random.standard_normal((2, 77, channels)).astype(np.float32)
    points[random.random(points.shape) < share] = value
    with pytest.raises(ValueError, match="query must be finite"):
        native.knn(points, points, 20)
    found = native.knn(points, points, 20, check_finite=False)
    assert found.min() >= 0
    assert found.max() < 77


@pytest.mark.parametrize("channels", [1, 3, 16, 64, 70, 256])
@pytest.mark.parametrize("k", [1, 20])
def test_gathered_maximum_is_that_of_the_gathered_rows(channels: int, k: int) -> None:
    random = np.random.default_rng(k)
    values = random.standard_normal((90, channels)).astype(np.float32)
    index = random.integers(0, 90, (300, k))
    for threads in (1, 3):
        most = native.gathered_maximum(values, index.astype(np.int32), threads)
        np.testing.assert_array_equal(most, values[index].max(axis=1))
    assert native.gathered_maximum(values, index[:0]).shape == (0, channels)


@pytest.mark.parametrize(
    ("values", "index", "error", "words"),
    [
        (np.zeros((4, 2)), np.array([[4]]), ValueError, r"index must lie in \[0, 4\)"),
        (np.zeros((4, 2)), np.array([[-1]]), ValueError, r"index must lie in \[0, 4\)"),
        (np.zeros((0, 2)), np.array([[0]]), ValueError, r"index must lie in \[0, 0\)"),
        (np.zeros((4, 2)), np.zeros((3, 0), int), ValueError, "k >= 1"),
        (np.zeros((4, 2)), np.zeros(3, int), ValueError, r"shape \(G, k\)"),
        (np.zeros((4, 2, 1)), np.array([[0]]), ValueError, r"shape \(R, C\)"),
        (np.full((4, 2), np.nan), np.array([[0]]), ValueError, "values must be finite"),
        (np.zeros((4, 2)), np.array([[0.0]]), TypeError, "whole numbers"),
        (np.zeros((4, 2), int), np.array([[0]]), TypeError, "floating-point"),
    ],
)
def test_gathered_maximum_refuses_nonsense(
    values: NDArray[Any], index: NDArray[Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        native.gathered_maximum(values, index)


@pytest.mark.parametrize("channels", [16, 64])
def test_equal_features_come_in_index_order(channels: int) -> None:
    random = np.random.default_rng(0)
    distinct = random.standard_normal((2, 7, channels)).astype(np.float32)
    points = distinct[:, random.integers(0, 7, 90)]
    np.testing.assert_array_equal(native.knn(points, points, 40), plain.knn(points, points, 40))


@pytest.mark.parametrize("scale", [1e-25, 1e-6, 1e6, 1e18, 1e30])
@pytest.mark.parametrize("channels", [3, 32])
def test_extreme_coordinates_are_compared_as_float32_compares_them(
    scale: float, channels: int
) -> None:
    random = np.random.default_rng(1)
    points = (scale * random.standard_normal((1, 70, channels))).astype(np.float32)
    np.testing.assert_array_equal(native.knn(points, points, 12), plain.knn(points, points, 12))
    if channels == 3:
        expected = plain.farthest_point_sample(points, 30)
        np.testing.assert_array_equal(native.farthest_point_sample(points, 30), expected)
        expected = plain.ball_query(points, points[:, :9], scale, 8)
        np.testing.assert_array_equal(native.ball_query(points, points[:, :9], scale, 8), expected)


def test_neighbours_far_from_the_origin_are_the_same() -> None:
    random = np.random.default_rng(2)
    points = (1e3 + random.standard_normal((2, 200, 48))).astype(np.float32)
    np.testing.assert_array_equal(native.knn(points, points, 20), plain.knn(points, points, 20))


def test_a_point_on_the_sphere_is_outside() -> None:
    xyz = np.array([[[0, 0, 0], [0.1, 0, 0], [0.05, 0, 0]]], np.float32)
    assert native.ball_query(xyz, xyz[:, :1], 0.1, 3).tolist() == [[[0, 2, 0]]]


def test_a_centre_with_nobody_near_takes_its_nearest_point() -> None:
    xyz = np.array([[[5, 0, 0], [3, 0, 0], [3, 0, 0]]], np.float32)
    assert native.ball_query(xyz, np.zeros((1, 1, 3), np.float32), 1.0, 2).tolist() == [[[1, 1]]]


def test_sampling_starts_at_the_first_point_and_never_repeats_while_points_differ() -> None:
    chosen = native.farthest_point_sample(clouds.batch("uniform", 3, 2, 120), 120)
    assert chosen[:, 0].tolist() == [0, 0]
    assert np.sort(chosen).tolist() == [list(range(120))] * 2


@pytest.mark.parametrize("threads", [2, 5])
def test_results_do_not_depend_on_threads(threads: int) -> None:
    xyz, centers = clouds.batch("uniform", 1, 3, 300), clouds.batch("uniform", 2, 3, 290)
    for op, arguments in (
        (native.farthest_point_sample, (xyz, 50)),
        (native.ball_query, (xyz, centers, 0.2, 9)),
        (native.knn, (centers, xyz, 9)),
    ):
        once = op(*arguments, threads=1)
        np.testing.assert_array_equal(op(*arguments, threads=threads), once)


def test_empty_batches_give_empty_results() -> None:
    none = np.empty((0, 9, 3), np.float32)
    assert native.farthest_point_sample(none, 4).shape == (0, 4)
    assert native.ball_query(none, none, 0.1, 4).shape == (0, 9, 4)
    assert native.knn(none, none, 4).shape == (0, 9, 4)
    some = np.zeros((2, 9, 3), np.float32)
    assert native.ball_query(some, some[:, :0], 0.1, 4).shape == (2, 0, 4)
    assert native.knn(some[:, :0], some, 4).shape == (2, 0, 4)


def test_dtype_and_layout_change_only_the_input() -> None:
    xyz = clouds.batch("uniform", 4, 2, 50)
    expected = native.knn(xyz, xyz, 5)
    np.testing.assert_array_equal(native.knn(np.asfortranarray(xyz), xyz, 5), expected)
    np.testing.assert_array_equal(native.knn(xyz.astype(np.float64), xyz, 5), expected)
    half = xyz.astype(np.float16)
    expected = native.knn(half.astype(np.float32), half.astype(np.float32), 5)
    np.testing.assert_array_equal(native.knn(half, half, 5), expected)
