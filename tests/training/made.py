"""Small hand-made inputs of the stages, whose objects can be told apart in any augmentation."""

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from pointcmt.data import CloudDataset
from pointcmt.data.dataset import XYZ_RGB
from pointcmt_training.config import Config, ViewsConfig
from pointcmt_training.inputs import Inputs
from pointcmt_training.inputs.split import Split
from pointcmt_training.recipe import load_config

CLASSES = ("cone", "cube", "tube")
POINTS, FEATURES = 40, 8


class Pictures:
    """Random pictures of no square shape, so that a transposed one is another."""

    def __init__(self, count: int, views: int = 2, height: int = 18, width: int = 24) -> None:
        random = np.random.default_rng(count)
        self.pixels = random.integers(0, 256, (count, views, height, width, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.pixels[index]

    def decoded(self, index: int) -> bool:
        return True

    def state(self, index: int) -> str:
        return str(self.pixels[index].sum())

    def subset(self, indices: ArrayLike) -> "Pictures":
        chosen = copy.copy(self)
        chosen.pixels = self.pixels[np.asarray(indices)]
        return chosen


def split(count: int, seed: int, views: ViewsConfig) -> Split:
    """Coloured clouds; object i has i copies of its first point, of classes in a random order."""
    random = np.random.default_rng(seed)
    points = random.uniform(-0.5, 0.5, (count, POINTS, 3)).astype(np.float32)
    for index in range(count):
        points[index, : index + 1] = points[index, 0]
    colors = random.uniform(0.2, 1, points.shape).astype(np.float32)
    labels = random.permutation(np.arange(count) % len(CLASSES))
    dataset = CloudDataset(
        "made",
        CLASSES,
        np.concatenate([points, colors], axis=2),
        labels,
        [f"{CLASSES[label]}/{index}" for index, label in enumerate(labels)],
        channels=XYZ_RGB,
        views=Pictures(count),
    )
    return Split(dataset, torch.from_numpy(points), torch.from_numpy(labels), views)


def identity(clouds: Tensor) -> Tensor:
    """Which objects of a split these are, (B,), read off clouds (B, N, 3) in any augmentation."""
    return torch.tensor([POINTS - len(torch.unique(cloud, dim=0)) for cloud in clouds])


def inputs(config: Config, train: int = 12, unlabelled: int = 0) -> Inputs:
    """The splits; the objects of `train` are the first of the pool."""
    views = config.views
    pool = split(train + unlabelled, 0, views)
    dataset = pool.dataset.subset(np.arange(train))
    labelled = Split(dataset, pool.points[:train], pool.labels[:train], views)
    held, test = split(6, 1, views), split(9, 2, views)
    return Inputs(labelled, held, test, pool, config.data.unlabelled_batch)


def settings(*overrides: str) -> Config:
    return load_config(
        "shapes",
        [
            "seed=3",
            "data.validation=0.3",
            "views.size=16",
            "teacher.epochs=2",
            "teacher.batch_size=5",
            "generator.points=10",
            "generator.epochs=2",
            "generator.batch_size=5",
            "training.epochs=3",
            "training.batch_size=5",
            "checkpoint_seconds=0",
            *overrides,
        ],
    )


class PooledStudent(nn.Module):
    """The smallest student: one layer, the largest answer of all points, one linear layer."""

    def __init__(self, num_classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.num_classes, self.feature_dim, self.min_points = num_classes, FEATURES, 4
        self.layer = nn.Linear(3, FEATURES)
        self.classifier = nn.Linear(FEATURES, num_classes)

    def encode(self, points: Tensor) -> Tensor:
        return self.layer(points).relu().amax(dim=1)

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier(features)
        return logits

    def forward(self, points: Tensor) -> Tensor:
        return self.classify(self.encode(points))


def student(seed: int = 0) -> PooledStudent:
    torch.manual_seed(seed)
    return PooledStudent()


def assert_same_weights(one: nn.Module, other: nn.Module, tolerance: float = 0.0) -> None:
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        torch.testing.assert_close(tensor, second[key], rtol=tolerance, atol=tolerance, msg=key)


class Interrupted(BaseException):
    """A kill, for tests that need no other process."""


def interrupt_at(epochs: int, monkeypatch) -> None:
    """Make a loop die just before it saves the state after so many epochs."""
    from pointcmt_training import loop

    save = loop.save_state

    def dies(path: Path, state: dict) -> None:
        if len(state["records"]) == epochs:
            raise Interrupted
        save(path, state)

    monkeypatch.setattr(loop, "save_state", dies)
