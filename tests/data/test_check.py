import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointcmt.data import CloudDataset, Shapes
from pointcmt.data.tools.check import check
from pointcmt.data.tools.duplicates import cloud_hashes

RNG = np.random.default_rng(0)
CLOUDS = RNG.normal(size=(8, 20, 3)).astype(np.float32)


def dataset(points=CLOUDS, name="toy/train", labels=None, classes=("a", "b")):
    n = len(points)
    labels = np.arange(n) % 2 if labels is None else labels
    return CloudDataset(name, classes, points, labels, [f"{name}:{i}" for i in range(n)])


# --- hashes


@given(st.permutations(range(20)))
def test_the_order_of_points_does_not_matter(order):
    assert np.array_equal(cloud_hashes(CLOUDS[:, order]), cloud_hashes(CLOUDS))


def test_any_changed_coordinate_matters():
    original = cloud_hashes(CLOUDS[:1])[0]
    seen = {original}
    for point in range(20):
        for axis in range(3):
            changed = CLOUDS[:1].copy()
            changed[0, point, axis] = np.nextafter(changed[0, point, axis], np.float32(9))
            seen.add(cloud_hashes(changed)[0])
    assert len(seen) == 61


def test_swapped_axes_and_repeated_points_are_told_apart():
    clouds = np.stack([CLOUDS[0], CLOUDS[0][:, [1, 0, 2]], np.roll(CLOUDS[0], 1, axis=1)])
    assert len(set(cloud_hashes(clouds))) == 3
    doubled = np.stack([np.repeat(CLOUDS[0, :10], 2, axis=0), np.tile(CLOUDS[0, :10], (2, 1))])
    assert cloud_hashes(doubled)[0] == cloud_hashes(doubled)[1] != cloud_hashes(CLOUDS)[0]


def test_both_zeros_are_one_and_further_channels_are_passed_over():
    zero = np.zeros((1, 4, 3), np.float32)
    assert cloud_hashes(zero) == cloud_hashes(-zero)
    assert cloud_hashes(np.concatenate([CLOUDS, CLOUDS], axis=2)).tolist() == (
        cloud_hashes(CLOUDS).tolist()
    )


def test_many_clouds_and_none():
    many = RNG.normal(size=(1000, 3, 3)).astype(np.float32)
    assert len(set(cloud_hashes(many))) == 1000
    assert cloud_hashes(many[:0]).shape == (0,)


# --- the report


def test_sound_data_pass():
    report = check([Shapes("train", 2, 64), Shapes("test", 2, 64)])
    assert report.ok
    assert report.notes == ()
    assert report.splits[0].classes["chair"] == 2
    assert "shapes/train: 24 clouds of 64 points (x y z), 12 classes of 2 to 2" in str(report)
    assert str(report).endswith("ok")
    assert json.loads(json.dumps(report.as_dict()))["splits"][1]["clouds"] == 24


def test_a_cloud_in_both_splits_is_found_in_any_point_order():
    other = RNG.normal(size=(5, 20, 3)).astype(np.float32)
    other[3] = CLOUDS[6][RNG.permutation(20)]
    report = check([dataset(), dataset(other, "toy/test")])
    assert report.problems == ("toy/train: 1 clouds that also occur in toy/test (toy/train:6)",)
    assert not report.ok
    assert "1 problem(s)" in str(report)


def test_a_cloud_that_occurs_twice_in_a_split_is_noted():
    twice = CLOUDS.copy()
    twice[5] = twice[2][::-1]
    report = check([dataset(twice)])
    assert report.ok
    assert "1 clouds that occurred before in the same split (toy/train:5)" in report.notes[0]


def test_values_and_labels_are_checked():
    bad = CLOUDS.copy()
    bad[1, 3, 2] = np.nan
    bad[4, 0, 0] = np.inf
    report = check([dataset(bad, labels=[0, 1, 2, 0, -1, 1, 0, 1])])
    assert report.problems == (
        "toy/train: 2 clouds with NaN or infinite values (toy/train:1, toy/train:4)",
        "toy/train: 2 labels outside 0 to 1 (toy/train:2, toy/train:4)",
    )


def test_empty_classes_and_flat_clouds_are_noted():
    flat = CLOUDS.copy()
    flat[0] = 1
    report = check([dataset(flat, labels=np.zeros(8, int))])
    assert report.notes == (
        "toy/train: no cloud of b",
        "toy/train: 1 clouds whose points all coincide (toy/train:0)",
    )


def test_unofficial_counts_are_noted():
    report = check([dataset(name="modelnet40/test")])
    assert "8 clouds, the official release has 2468" in report.notes[0]


def test_splits_with_different_classes_are_a_problem():
    report = check([dataset(), dataset(-CLOUDS, "toy/test", classes=("b", "a"))])
    assert report.problems == ("toy/train, toy/test have different class names",)


def test_long_lists_are_cut():
    bad = np.full((40, 4, 3), np.nan, np.float32)
    assert "and 35 more" in check([dataset(bad)]).problems[0]


def test_nothing_to_check_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        check([])


def test_the_real_data_pass(modelnet40_root):
    from pointcmt.data import ModelNet40

    report = check([ModelNet40(modelnet40_root, split) for split in ("train", "test")])
    assert report.ok, report
    assert [s.clouds for s in report.splits] == [9843, 2468]
