"""What a recipe's `augmentation:` does to the clouds of a step."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pointcmt.errors import InputError
from pointcmt_training.inputs.split import Split
from pointcmt_training.prepare import prepare
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run
from pointcmt_training.stages.common import augmented
from tests.training import made
from tests.training.tiny import TINY

AXES = {"x": 0, "y": 1, "z": 2}


def with_up(split: Split, up: str | None) -> Split:
    dataset = copy.copy(split.dataset)
    dataset.up = up
    return dataclasses.replace(split, dataset=dataset)


def seen(split: Split, *overrides: str, shuffle: bool = False) -> Tensor:
    indices = torch.arange(len(split))
    return augmented(split, indices, 0, made.settings(*overrides), shuffle=shuffle)


@pytest.mark.parametrize("up", ["x", "y", "z", "-z"])
def test_clouds_turn_about_the_vertical_axis_of_the_data(up: str) -> None:
    split = with_up(made.inputs(made.settings()).train, up)
    plain, turned = (seen(split, f"augmentation.rotate={r}") for r in ("none", "vertical"))
    upright = AXES[up.removeprefix("-")]

    assert torch.equal(plain[..., upright], turned[..., upright])
    for axis in {0, 1, 2} - {upright}:
        assert not torch.allclose(plain[..., axis], turned[..., axis], atol=1e-3)


def test_any_orientation_spares_no_axis() -> None:
    split = made.inputs(made.settings()).train
    plain, turned = (seen(split, f"augmentation.rotate={r}") for r in ("none", "any"))

    assert not (plain - turned).abs().amax(dim=(0, 1)).lt(1e-3).any()


def test_normals_stay_at_right_angles_to_their_surface() -> None:
    split = made.inputs(made.settings()).train
    normal = torch.tensor([2.0, 1, -2]) / 3
    flat = split.points - (split.points @ normal)[..., None] * normal  # (B, N, 3)
    clouds = torch.cat([flat, normal.expand_as(flat)], dim=2)
    dataset = copy.copy(split.dataset)
    dataset.points, dataset.channels = clouds.numpy(), (*AXES, "nx", "ny", "nz")
    changed = seen(dataclasses.replace(split, dataset=dataset, points=clouds))

    within = changed[:, 1:, :3] - changed[:, :1, :3]
    assert within.abs().max() > 0.1
    assert torch.allclose((within * changed[:, 1:, 3:]).sum(dim=2), torch.tensor(0.0), atol=1e-5)


def test_jitter_moves_every_coordinate_a_little() -> None:
    split = made.inputs(made.settings()).train
    plain, moved = (seen(split, f"augmentation.jitter={j}") for j in (0.0, 0.01))

    assert 0 < (plain - moved).abs().max() <= 0.05


def test_points_are_dropped_for_the_student_and_kept_for_the_teachers_views() -> None:
    split = made.inputs(made.settings()).train
    for shuffle in (True, False):
        clouds = seen(split, "augmentation.dropout=0.9", shuffle=shuffle)
        distinct = [len(torch.unique(cloud, dim=0)) for cloud in clouds]
        stored = [len(torch.unique(cloud, dim=0)) for cloud in split.points]
        assert (distinct != stored) is shuffle


def test_a_student_of_any_orientation_says_so(tmp_path: Path) -> None:
    run(load_config("shapes", [*TINY, "method=none", "augmentation.rotate=any"]), tmp_path / "run")

    assert json.loads((tmp_path / "run/student/config.json").read_text())["up"] == "any"


def test_data_without_a_vertical_axis_cannot_turn_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = load_config("shapes", [*TINY, "augmentation.rotate=vertical"])
    inputs, _ = prepare(config)
    unknown = dataclasses.replace(inputs, train=with_up(inputs.train, None))
    monkeypatch.setattr("pointcmt_training.prepare.load_inputs", lambda *_: unknown)

    with pytest.raises(InputError, match="states no vertical axis; use rotate=any"):
        prepare(config)


@pytest.mark.parametrize("bad", ["rotate=tilt", "jitter=-1", "dropout=1"])
def test_values_out_of_range_are_named(bad: str) -> None:
    with pytest.raises(InputError, match=f"augmentation.{bad.partition('=')[0]}"):
        load_config("shapes", [f"augmentation.{bad}"])
