"""Pictures read ahead: by other processes, in any order asked for, to the same weights."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pointcmt.data import CloudDataset
from pointcmt.errors import InputError
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs import Inputs, ahead
from pointcmt_training.inputs.ahead import PictureReader
from pointcmt_training.inputs.split import Split
from pointcmt_training.stages.teacher import augmented_views, teacher_features, train_teacher
from tests.training import made

BAD = 7


class Files:
    """Pictures that must be decoded; those of object BAD, if there is one, are damaged."""

    def __init__(self, count: int, bad: int = -1) -> None:
        self.count, self.bad = count, bad

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if index == self.bad:
            raise InputError("cup_007.png: not a readable picture")
        return np.random.default_rng(index).integers(0, 255, (2, 18, 24, 3), np.uint8)

    def decoded(self, index: int) -> bool:
        return False

    def state(self, index: int) -> str:
        return ""

    def subset(self, indices: ArrayLike) -> "Files":
        raise NotImplementedError


class Told(Files):
    """The first pixel tells the object, the last which process has read it."""

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        pictures = super().__getitem__(index)
        pictures[:, 0, 0, 0] = index
        pictures[0, -1, -1] = list(os.getpid().to_bytes(3, "little"))
        return pictures


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "FEW", 0)


def process(pictures: NDArray[np.uint8]) -> int:
    return int.from_bytes(pictures[0, -1, -1].tobytes(), "little")


def test_what_is_expected_is_read_by_workers_and_what_is_not_by_this_process() -> None:
    reader, order = PictureReader(Told(9, BAD), 2), [3, 1, 4, 1, 5]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    reader.expect(order, 2)
    first = [reader(index) for index in order[:2]]
    asked_between = reader(8)
    found = [*first, *(reader(index) for index in order[2:])]
    assert [one[0, 0, 0, 0] for one in found] == order
    readers = {process(one) for one in found}
    assert len(readers) == 2
    assert os.getpid() not in readers
    assert process(asked_between) == os.getpid()
    assert process(reader(5)) == os.getpid(), "all that was expected has come"
    assert torch.equal(torch.get_rng_state(), before)
    reader.expect([8, BAD], 2)
    assert reader(8)[1, 0, 0, 0] == 8
    with pytest.raises(InputError, match=r"^cup_007\.png: not a readable picture$"):
        reader(BAD)


def test_a_killed_worker_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> Iterator[Tensor]:
        yield torch.zeros(2, 18, 24, 3, dtype=torch.uint8)
        raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")

    monkeypatch.setattr(ahead, "DataLoader", dies)
    reader = PictureReader(Told(9), 1)
    reader.expect([0, 1], 2)
    reader(0)
    with pytest.raises(InputError, match=r"was killed.*views\.workers=0"):
        reader(1)


def test_workers_are_started_only_for_what_takes_long_to_decode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ahead, "DataLoader", lambda *_, **__: pytest.fail("were started"))
    PictureReader(Told(9), 0).expect([1, 2], 2)
    PictureReader(made.Pictures(9), 2).expect([1, 2], 2)
    monkeypatch.setattr(ahead, "FEW", 4)
    PictureReader(Told(9), 2).expect([1, 2, 1], 2)


def on_pictures(config: Config) -> Inputs:
    """The made splits, whose pictures have to be decoded."""
    found = made.inputs(config)

    def told(split: Split) -> Split:
        dataset: CloudDataset = split.dataset.with_views(Files(len(split)))
        return Split(dataset, split.points, split.labels, config.views)

    return Inputs(told(found.train), None, found.test, told(found.train), 4)


def test_workers_change_no_weight_and_no_feature(tmp_path: Path) -> None:
    augmented = ["views.drawn=1", "views.flip=0.5", "views.crop=0.3", "views.erase=0.5"]
    ended = []
    for workers in (0, 2):
        config = made.settings(
            "views.kind=rendered", f"views.workers={workers}", "teacher.width=0.25", *augmented
        )
        inputs, folder = on_pictures(config), RunFolder(tmp_path / str(workers))
        teacher = train_teacher(config, inputs, folder, made.FEATURES)
        features = teacher_features(config, teacher, inputs.pool, folder)
        ended.append((teacher, features))
    (one, features), (other, others) = ended
    made.assert_same_weights(one, other)
    assert torch.equal(features, others)
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL  # later children meet no handler


@pytest.mark.parametrize("kind", ["rendered", "projected", "projected-color"])
def test_every_kind_of_picture_is_augmented_in_stage_i_and_keeps_its_object(kind: str) -> None:
    config = made.settings(f"views.kind={kind}", "views.erase=1.0", "views.augment=false")
    split, indices = made.inputs(config).train, torch.tensor([5, 2])
    plain = split.views(indices)
    first, again, later = (augmented_views(split, indices, epoch, config) for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    kept = (first == plain) | (first == 0)
    assert kept.all()
    assert not torch.equal(first, plain)
    fewer = made.settings(f"views.kind={kind}", "views.drawn=1", "views.augment=false")
    drawn = augmented_views(split, indices, 0, fewer)
    assert drawn.shape == (2, 1, *plain.shape[2:])
    assert (plain == drawn).flatten(2).all(2).any(1).all()


def test_a_rank_expects_its_share_of_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    split = on_pictures(made.settings("views.kind=rendered")).train
    expected: list[list[int]] = []
    monkeypatch.setattr(PictureReader, "expect", lambda _, indices, ahead: expected.append(indices))
    monkeypatch.setattr("pointcmt.ranks.share", lambda rows: slice(rows // 2, rows))
    split.expect(torch.tensor([5, 3, 8, 0, 1]).split(3), 3)
    assert expected == [[3, 8, 1]]
