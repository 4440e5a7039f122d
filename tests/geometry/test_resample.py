import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointcmt.errors import InputError
from pointcmt.geometry import resample


def cloud_of(n):
    return np.arange(n * 3, dtype=np.float32).reshape(n, 3)


@given(st.integers(1, 40), st.integers(1, 100), st.integers(0, 5))
def test_gives_the_count_from_existing_points_as_evenly_as_possible(n, count, seed):
    result = resample(cloud_of(n), count, seed)
    assert result.shape == (count, 3)
    uses = np.bincount((result[:, 0] / 3).astype(int), minlength=n)
    assert uses.sum() == count
    assert uses.max() - uses.min() <= 1
    assert np.array_equal(result[:, 1], result[:, 0] + 1)


@given(st.integers(2, 40), st.integers(1, 40), st.integers(0, 5))
def test_the_seed_decides(n, count, seed):
    assert np.array_equal(resample(cloud_of(n), count, seed), resample(cloud_of(n), count, seed))


def test_the_seed_is_0_unless_said():
    assert np.array_equal(resample(cloud_of(100), 50), resample(cloud_of(100), 50, 0))


def test_different_seeds_differ():
    assert not np.array_equal(resample(cloud_of(100), 50, 0), resample(cloud_of(100), 50, 1))


def test_the_right_count_changes_nothing():
    assert np.array_equal(resample(cloud_of(10), 10), cloud_of(10))


def test_normals_travel_with_their_points():
    rows = np.arange(30, dtype=np.float32).reshape(5, 6)
    assert {tuple(row) for row in resample(rows, 8)} == {tuple(row) for row in rows}


def test_fewer_points_keep_their_order():
    fewer = resample(cloud_of(100), 40)
    places = [cloud_of(100).tolist().index(row) for row in fewer.tolist()]
    assert places == sorted(set(places))


@pytest.mark.parametrize("count", [0, -1, 10**12])
def test_a_senseless_count_is_refused(count):
    with pytest.raises(InputError, match="ask for 1 to"):
        resample(cloud_of(3), count)


def test_an_empty_cloud_is_refused():
    with pytest.raises(InputError, match="at least one point"):
        resample(np.zeros((0, 3), np.float32), 4)
