import numpy as np
import pytest

from pointcmt.data import CloudDataset
from pointcmt.data.dataset import XYZ_NORMAL, XYZ_RGB


def make(n=6, **changes):
    rng = np.random.default_rng(0)
    fields = {
        "name": "toy/train",
        "classes": ["a", "b"],
        "points": rng.normal(size=(n, 8, 3)).astype(np.float32),
        "labels": np.arange(n) % 2,
        "ids": [f"o{i}" for i in range(n)],
    }
    return CloudDataset(**{**fields, **changes})


class Pictures:
    def __init__(self, numbers):
        self.numbers = numbers

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        return np.full((2, 4, 4, 3), self.numbers[index], np.uint8)

    def subset(self, indices):
        return Pictures([self.numbers[i] for i in indices])


def test_a_subset_keeps_everything_of_a_sample_together():
    parts = np.arange(6)[:, None] * np.ones((6, 8), np.int64)
    told = {"normalization": "unit-box", "channels": ("x", "y", "height"), "up": "z"}
    whole = make(parts=parts, **told).with_views(Pictures(list(range(6))))
    chosen = whole.subset([4, 1])
    assert chosen.name == "toy/train[2]"
    assert {key: getattr(chosen, key) for key in told} == told
    for place, index in enumerate([4, 1]):
        sample = chosen[place]
        assert np.array_equal(sample.points, whole.points[index])
        assert (sample.label, sample.id) == (index % 2, f"o{index}")
        assert (sample.views == index).all()
        assert (sample.parts == index).all()


def test_the_fingerprint_tells_any_change_and_nothing_else(tmp_path):
    base = make()
    assert base.fingerprint() == make(name="other").fingerprint()
    changed = [
        make(classes=["a", "c"]),
        make(labels=[0, 1, 0, 1, 0, 0]),
        make(ids=[f"p{i}" for i in range(6)]),
        make(points=base.points + np.float32(1e-6)),
        make(points=base.points.reshape(6, 4, 6), channels=XYZ_NORMAL),
        make(points=base.points.reshape(6, 4, 6), channels=XYZ_RGB),
        make(parts=np.zeros((6, 8), np.int64)),
        base.subset([1, 0, 2, 3, 4, 5]),
    ]
    prints = {base.fingerprint(), *(one.fingerprint() for one in changed)}
    assert len(prints) == len(changed) + 1
    np.save(tmp_path / "p.npy", base.points)
    mapped = make(points=np.load(tmp_path / "p.npy", mmap_mode="r"))
    assert mapped.fingerprint() == base.fingerprint()


def test_the_fingerprint_is_of_all_clouds_however_many_are_read_at_a_time(monkeypatch):
    base = make(parts=np.zeros((6, 8), np.int64))
    whole = base.fingerprint()
    monkeypatch.setattr("pointcmt.data.dataset.FINGERPRINT_CHUNK", 4)
    assert make(parts=base.parts).fingerprint() == whole
    points, parts = base.points.copy(), base.parts.copy()
    points[5, 0, 0] += 1
    parts[5, 7] = 1
    assert make(points=points, parts=base.parts).fingerprint() != whole
    assert make(parts=parts).fingerprint() != whole


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [0, 1]}, "6 clouds but 2 labels"),
        ({"ids": ["a"]}, "6 clouds but 1 ids"),
        ({"parts": np.zeros((5, 8), np.int64)}, "6 clouds but 5 parts"),
        ({"views": Pictures([1])}, "6 clouds but 1 views"),
        ({"points": np.zeros((6, 8, 3))}, "float64"),
        ({"points": np.zeros((6, 3), np.float32)}, r"\(6, 3\)"),
        ({"points": np.zeros((6, 8, 4), np.float32)}, "4 channels, but 3 are named"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)
