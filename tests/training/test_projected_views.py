"""Projections of more points than the student gets, and from other places."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pointcmt.data import CloudDataset, Shapes
from pointcmt.errors import InputError
from pointcmt.geometry.orientation import turn
from pointcmt.views import DODECAHEDRON_VIEWS, SIX_VIEWS, ring
from pointcmt_training.config import ViewsConfig
from pointcmt_training.inputs import Inputs, load_inputs
from pointcmt_training.inputs.split import Split
from pointcmt_training.recipe import load_config
from pointcmt_training.stages.teacher import augmented_views
from tests.reference.projection import draw
from tests.training import made

SMALL = ["data.points=16", "data.per_class=4", "generator.points=8", "views.size=20"]


def load(*overrides: str) -> Inputs:
    return load_inputs(load_config("shapes", [*SMALL, *overrides]), torch.device("cpu"))


def close(found: torch.Tensor, cloud: np.ndarray, views: np.ndarray) -> None:
    """A pixel or two may hang on how a number is rounded."""
    expected = np.stack([draw(cloud, view, found.shape[-1], 3) for view in views])
    apart = np.abs(found[:, 0].numpy() - expected) > 1e-5
    assert apart.mean() < 0.002
    assert (expected > 0).mean() > 0.05


def test_the_teacher_sees_more_points_of_the_cloud_that_the_student_gets() -> None:
    split = load("views.points=64").train
    stored = Shapes("train", 4, 64).points
    np.testing.assert_array_equal(split.points, stored[:, :16])
    for index in (0, 11):
        close(split.views(torch.tensor([index]))[0], stored[index], SIX_VIEWS)


def test_what_stage_i_changes_are_all_the_points_it_sees() -> None:
    config = load_config("shapes", [*SMALL, "views.points=64"])
    train = load_inputs(config, torch.device("cpu")).train
    indices = torch.arange(8)
    found = augmented_views(train, indices, 3, config)
    alike = Split(train.dataset, train.whole.points, train.labels, train.config)
    assert torch.equal(found, augmented_views(alike, indices, 3, config))
    assert not torch.equal(found, train.views(indices))
    fewer = augmented_views(replace(train, more=None), indices, 3, config)
    assert (found > 0).sum() > 1.5 * (fewer > 0).sum()


def test_unlabelled_clouds_are_seen_whole_too() -> None:
    pool = load("views.points=64", "data.fraction=0.5", "data.unlabelled=rest").pool
    assert pool.points.shape == (48, 16, 3)
    assert pool.whole.points.shape == (48, 64, 3)
    few = pool.first(3)
    assert torch.equal(few.views(torch.arange(3)), pool.views(torch.arange(3)))


@pytest.mark.parametrize(
    ("cameras", "views"),
    [("auto", SIX_VIEWS), ("dodecahedron", DODECAHEDRON_VIEWS), ("ring12", ring(12))],
)
def test_projections_are_taken_from_where_the_recipe_says(cameras: str, views: np.ndarray) -> None:
    split = made.split(3, 60, ViewsConfig(size=24, cameras=cameras))  # type: ignore[arg-type]
    assert split.view_shape == (len(views), 1, 24, 24)
    close(split.views(torch.tensor([2]))[0], split.dataset.points[2, :, :3], views)


def test_views_stand_upright_whichever_axis_points_up() -> None:
    split = made.split(3, 60, ViewsConfig(size=24, cameras="ring12"))
    data = split.dataset
    points = turn(data.points[..., :3], "y", "z")
    lying = CloudDataset(
        data.name, data.classes, points, data.labels, data.ids, data.normalization, up="z"
    )
    turned = Split(lying, torch.from_numpy(points), split.labels, split.config)
    indices = torch.arange(3)
    apart = (turned.views(indices) - split.views(indices)).abs() > 1e-5
    assert apart.float().mean() < 0.002


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("views.points=8",), r"views\.points=8: must be at least data\.points, 16"),
        (("views.points=-1",), r"views\.points"),
        (("views.points=64", "views.kind=rendered"), "is for clouds"),
        (("views.cameras=seven",), r"views\.cameras"),
    ],
)
def test_views_that_cannot_be_taken_are_refused(overrides: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load(*overrides)
