import numpy as np
import pytest
import torch

from pointcmt.data import CloudDataset
from pointcmt.data.augment import Augmentation
from pointcmt.data.loader import Batches


class Pictures:
    def __init__(self, numbers):
        self.numbers = numbers

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        return np.full((2, 4, 5, 3), self.numbers[index], np.uint8)

    def subset(self, indices):
        return Pictures([self.numbers[i] for i in indices])


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(23, 16, 3)).astype(np.float32)
    ids = [str(i) for i in range(23)]
    return CloudDataset("toy/train", ["a", "b"], points, np.arange(23) % 2, ids)


def test_an_epoch_holds_every_sample_once(dataset):
    batches = list(Batches(dataset, 5).epoch(0))
    assert [len(b.labels) for b in batches] == [5, 5, 5, 5, 3]
    indices = torch.cat([b.indices for b in batches])
    assert indices.sort().values.tolist() == list(range(23))
    points = torch.cat([b.points for b in batches])
    assert torch.equal(points, torch.from_numpy(dataset.points)[indices])
    assert torch.equal(torch.cat([b.labels for b in batches]), indices % 2)


def test_the_last_small_batch_may_be_dropped(dataset):
    loader = Batches(dataset, 5, drop_last=True)
    assert len(loader) == len(list(loader.epoch(0))) == 4


def test_without_shuffling_the_order_is_kept(dataset):
    batches = Batches(dataset, 10, shuffle=False).epoch(3)
    assert torch.cat([b.indices for b in batches]).tolist() == list(range(23))


def test_each_epoch_and_seed_has_its_own_order(dataset):
    def order(seed, epoch):
        return torch.cat([b.indices for b in Batches(dataset, 5, seed=seed).epoch(epoch)]).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(s, e)) for s in (0, 1) for e in (0, 1)}) == 4


def test_workers_give_the_same_batches(dataset):
    change = Augmentation(scale=(0.5, 2), shift=0.1, jitter=0.01, shuffle=True)
    pictured = dataset.with_views(Pictures(list(range(23))))
    here = list(Batches(pictured, 5, augmentation=change).epoch(2))
    there = list(Batches(pictured, 5, augmentation=change, workers=2).epoch(2))
    assert len(here) == len(there)
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a.points, b.points)
        assert torch.equal(a.indices, b.indices)
        assert torch.equal(a.views, b.views)


def test_augmentation_does_not_depend_on_the_batch_size(dataset):
    change = Augmentation(scale=(0.5, 2), shuffle=True)
    results = []
    for size in (1, 7, 23):
        batches = list(Batches(dataset, size, augmentation=change).epoch(1))
        order = torch.cat([b.indices for b in batches]).argsort()
        results.append(torch.cat([b.points for b in batches])[order])
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], torch.from_numpy(dataset.points))


def test_views_come_as_channels_first(dataset):
    batch = next(Batches(dataset.with_views(Pictures(list(range(23)))), 4).epoch(0))
    assert batch.views.shape == (4, 2, 3, 4, 5)
    assert torch.equal(batch.views[:, 0, 0, 0, 0].long(), batch.indices)


def test_a_memory_mapped_set_is_read_in_place(dataset, tmp_path):
    np.save(tmp_path / "p.npy", dataset.points)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")[:, :8]
    there = CloudDataset("toy/train", ["a", "b"], mapped, dataset.labels, dataset.ids)
    batch = next(Batches(there, 6).epoch(0))
    assert torch.equal(batch.points, torch.from_numpy(dataset.points[:, :8])[batch.indices])


def test_point_labels_stay_with_their_points(dataset):
    parts = np.arange(23)[:, None] * np.ones((23, 16), np.int64)
    labelled = CloudDataset(
        "toy", ["a", "b"], dataset.points, dataset.labels, dataset.ids, parts=parts
    )
    batch = next(Batches(labelled, 6, augmentation=Augmentation(shift=0.1)).epoch(0))
    assert torch.equal(batch.parts, batch.indices[:, None].expand(-1, 16))
    with pytest.raises(ValueError, match="part the points"):
        Batches(labelled, 6, augmentation=Augmentation(shuffle=True))


def test_a_senseless_batch_size_is_refused(dataset):
    with pytest.raises(ValueError, match="size must be"):
        Batches(dataset, 0)
