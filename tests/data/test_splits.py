import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointcmt.data import CloudDataset, class_balanced_subset, split_validation
from pointcmt.errors import InputError


def dataset_of(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = np.random.default_rng(0).permutation(labels)
    n = len(labels)
    points = np.arange(n, dtype=np.float32)[:, None, None] * np.ones((n, 2, 3), np.float32)
    names = [f"c{i}" for i in range(len(counts))]
    return CloudDataset("toy/train", names, points, labels, [str(i) for i in range(n)])


COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(lambda c: max(c) > 1)


@given(COUNTS, st.floats(0.01, 1), st.integers(0, 9))
def test_each_class_gives_its_share_and_at_least_one(counts, fraction, seed):
    subset = class_balanced_subset(dataset_of(counts), fraction, seed)
    expected = [0 if c == 0 else max(1, round(fraction * c)) for c in counts]
    assert np.bincount(subset.labels, minlength=len(counts)).tolist() == expected
    assert sorted(set(subset.ids)) == sorted(subset.ids)


@given(COUNTS, st.floats(0.01, 0.99), st.integers(0, 9))
def test_validation_and_rest_are_a_stratified_partition(counts, fraction, seed):
    whole = dataset_of(counts)
    rest, validation = split_validation(whole, fraction, seed)
    assert sorted(rest.ids + validation.ids) == sorted(whole.ids)
    for label, count in enumerate(counts):
        held = (validation.labels == label).sum()
        assert held == (min(max(1, round(fraction * count)), count - 1) if count else 0)


def test_the_seed_decides_and_the_order_is_kept():
    whole = dataset_of([50, 50])
    first, again = class_balanced_subset(whole, 0.2, 1), class_balanced_subset(whole, 0.2, 1)
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != class_balanced_subset(whole, 0.2, 2).fingerprint()
    assert [int(i) for i in first.ids] == sorted(int(i) for i in first.ids)
    assert "0.2 per class, seed 1" in first.name


def test_a_class_keeps_its_clouds_whatever_the_other_classes_hold():
    small, large = dataset_of([30, 30]), dataset_of([30, 30])
    large = large.subset(np.flatnonzero((large.labels == 0) | (np.arange(60) % 2 == 0)))
    picked = [class_balanced_subset(d, 0.3, 0) for d in (small, large)]
    first = [[i for i, k in zip(d.ids, d.labels, strict=True) if k == 0] for d in picked]
    assert first[0] == first[1]


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_a_senseless_fraction_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction must be"):
        class_balanced_subset(dataset_of([3]), fraction, 0)
    with pytest.raises(InputError, match="a share must be"):
        split_validation(dataset_of([3]), fraction)


def test_nothing_to_split_is_refused():
    with pytest.raises(ValueError, match="no class has two clouds"):
        split_validation(dataset_of([1, 1]))


def test_two_percent_of_modelnet40_are_197_clouds(modelnet40_root):
    from pointcmt.data import ModelNet40

    subset = class_balanced_subset(ModelNet40(modelnet40_root), 0.02, 0)
    assert len(subset) == 197
    assert np.bincount(subset.labels, minlength=40).min() == 1
