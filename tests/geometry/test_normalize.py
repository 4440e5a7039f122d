import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pointcmt.errors import InputError
from pointcmt.geometry import NORMALIZATIONS, normalize

CLOUDS = arrays(
    np.float64, st.tuples(st.integers(2, 30), st.just(3)), elements=st.floats(-1e3, 1e3)
).filter(lambda cloud: np.ptp(cloud, axis=0).max() > 1e-3)
SCALED = ("unit-sphere", "unit-box")


@given(CLOUDS)
def test_unit_sphere_centres_and_touches_the_sphere(cloud):
    result = normalize(cloud, "unit-sphere")
    assert np.allclose(result.mean(axis=0), 0, atol=1e-5)
    assert np.linalg.norm(result, axis=1).max() == pytest.approx(1, abs=1e-5)


@given(CLOUDS)
def test_unit_box_fills_the_box_along_its_longest_side(cloud):
    result = normalize(cloud, "unit-box")
    low, high = result.min(axis=0), result.max(axis=0)
    assert np.allclose(low + high, 0, atol=1e-5)
    assert (high - low).max() == pytest.approx(1, abs=1e-5)


@given(CLOUDS, st.floats(0.01, 100), st.floats(-50, 50), st.sampled_from(SCALED))
def test_scaled_rules_ignore_place_and_size(cloud, scale, shift, rule):
    moved = normalize(cloud * scale + shift, rule)
    assert np.allclose(moved, normalize(cloud, rule), atol=1e-3)


@given(CLOUDS, st.sampled_from(NORMALIZATIONS))
def test_every_rule_keeps_the_proportions(cloud, rule):
    result = normalize(cloud, rule).astype(np.float64)
    before = np.linalg.norm(cloud[1:] - cloud[:-1], axis=1)
    after = np.linalg.norm(result[1:] - result[:-1], axis=1)
    rounding = np.spacing(np.abs(result).max().astype(np.float32))
    tolerance = 1e-3 + 8 * float(rounding) / after.max()  # of the largest step, in float32
    assert np.allclose(after / after.max(), before / before.max(), rtol=0, atol=tolerance)


def test_centered_keeps_the_scale_and_none_keeps_all():
    cloud = np.array([[0.0, 0, 0], [4, 2, 6]])
    assert normalize(cloud, "centered").tolist() == [[-2, -1, -3], [2, 1, 3]]
    assert normalize(cloud, "none").tolist() == cloud.tolist()


def test_a_batch_is_normalised_cloud_by_cloud():
    batch = np.random.default_rng(0).normal(size=(5, 40, 3)) * np.arange(1, 6)[:, None, None]
    for rule in NORMALIZATIONS:
        each = np.stack([normalize(cloud, rule) for cloud in batch])
        assert np.array_equal(normalize(batch, rule), each)


def test_normals_are_kept_and_the_input_is_untouched():
    cloud = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    before = cloud.copy()
    result = normalize(cloud, "unit-sphere")
    assert np.array_equal(result[:, 3:], cloud[:, 3:])
    assert np.array_equal(cloud, before)
    assert result.dtype == np.float32


@settings(max_examples=20)
@given(st.sampled_from([1e-20, 1e-3, 1e6, 1e17]))
def test_extreme_sizes_are_computed_in_float64(size):
    cloud = (np.random.default_rng(0).normal(size=(30, 3)) * size).astype(np.float32)
    assert np.linalg.norm(normalize(cloud, "unit-sphere"), axis=1).max() == pytest.approx(1, 1e-5)


@pytest.mark.parametrize(
    ("cloud", "message"),
    [
        (np.zeros((0, 3)), "at least one point"),
        (np.zeros((4, 2)), r"\(4, 2\)"),
        (np.zeros(3), r"\(3,\)"),
        (np.ones((5, 3)), "coincide"),
        (np.array([[0, 0, 0], [np.nan, 0, 0]]), "NaN"),
        (np.array([[0, 0, 0], [np.inf, 0, 0]]), "infinite"),
        (np.eye(3) * 1e200, "too large"),
    ],
)
def test_unusable_clouds_are_named(cloud, message):
    with pytest.raises(InputError, match=message):
        normalize(cloud, "unit-sphere")


def test_an_unknown_rule_names_the_known_ones():
    with pytest.raises(InputError, match="unit-sphere, unit-box"):
        normalize(np.eye(3), "unit_sphere")
