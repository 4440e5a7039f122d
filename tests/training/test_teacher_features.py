"""Teacher features: of the right object, computed once, and anew when what made them changes."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs.split import Split
from pointcmt_training.stages.teacher import teacher_features
from tests.training import made


@pytest.fixture
def teacher() -> MultiViewTeacher:
    torch.manual_seed(0)
    return MultiViewTeacher("resnet18", 3, 1, 0.25, feature_dim=made.FEATURES).eval()


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many objects each call of `encode` was given."""
    counts: list[int] = []
    encode = MultiViewTeacher.encode

    def counting(self: MultiViewTeacher, views: Tensor) -> Tensor:
        counts.append(len(views))
        return encode(self, views)

    monkeypatch.setattr(MultiViewTeacher, "encode", counting)
    return counts


def cached(config: Config, teacher: MultiViewTeacher, split: Split, folder: Path) -> Tensor:
    return teacher_features(config, teacher, split, RunFolder(folder))


def test_each_feature_is_that_of_its_own_object_in_plain_views(
    teacher: MultiViewTeacher, tmp_path: Path
) -> None:
    config = made.settings()
    split = made.inputs(config).train
    features = cached(config, teacher, split, tmp_path)
    with torch.no_grad():
        for index in range(len(split)):
            alone = teacher.encode(split.views(torch.tensor([index])))[0]
            torch.testing.assert_close(features[index], alone, rtol=1e-4, atol=1e-5)
    assert len(torch.unique(features, dim=0)) == len(split)


def test_they_are_computed_once(
    teacher: MultiViewTeacher, encoded: list[int], tmp_path: Path
) -> None:
    config = made.settings()
    split = made.inputs(config).train
    first = cached(config, teacher, split, tmp_path)
    assert sum(encoded) == len(split)
    encoded.clear()
    assert torch.equal(cached(config, teacher, split, tmp_path), first)
    assert encoded == []


@pytest.mark.parametrize(
    "change", ["weights", "clouds", "order", "size", "kind", "look", "picture"]
)
def test_they_are_computed_anew_when_what_made_them_changes(
    change: str, teacher: MultiViewTeacher, encoded: list[int], tmp_path: Path
) -> None:
    config = made.settings()
    split = made.inputs(config).train
    if change == "kind":
        teacher = MultiViewTeacher("resnet18", 3, 3, 0.25, feature_dim=made.FEATURES).eval()
        rendered = made.settings("views.kind=rendered")
        cached(rendered, teacher, made.inputs(rendered).train, tmp_path)
        config = made.settings("views.kind=projected-color")
        split = made.inputs(config).train
    else:
        if change in ("picture", "look"):
            config = made.settings("views.kind=rendered")
            split = made.inputs(config).train
            teacher = MultiViewTeacher("resnet18", 3, 3, 0.25, feature_dim=made.FEATURES).eval()
        cached(config, teacher, split, tmp_path)
    encoded.clear()
    if change == "picture":
        assert isinstance(split.dataset.views, made.Pictures)
        split.dataset.views.pixels[-1, 0, 0, 0, 0] ^= 1
    if change == "weights":
        teacher = copy.deepcopy(teacher)
        with torch.no_grad():
            next(teacher.parameters()).view(-1)[0] += 1e-3
    if change == "clouds":
        split = made.split(12, 9, config.views)
    if change == "order":
        turned = split.dataset.subset(np.arange(len(split))[::-1])
        split = Split(turned, split.points.flip(0), split.labels.flip(0), config.views)
    if change in ("size", "look"):
        looks = ("views.kind=rendered", "views.look=normals")
        config = made.settings(*(("views.size=24",) if change == "size" else looks))
        split = replace(split, config=config.views)
    cached(config, teacher, split, tmp_path)
    assert sum(encoded) == len(split)
