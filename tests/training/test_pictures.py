"""Rendered views in training: made once, drawn at random, and refused in a sentence."""

from pathlib import Path

import pytest
import torch

from pointcmt.errors import InputError
from pointcmt.views.pictures import ViewSettings, drawing
from pointcmt.views.window import can_render
from pointcmt_training.inputs import load_inputs
from pointcmt_training.inputs.split import Split
from pointcmt_training.recipe import load_config
from pointcmt_training.stages.teacher import augmented_views

pytestmark = pytest.mark.skipif(not can_render(), reason="the extra `render` is not installed")
CPU = torch.device("cpu")
OPTIONS = [
    "data.points=32",
    "data.per_class=2",
    "generator.points=16",
    "views.kind=rendered",
    "views.size=16",
    "views.cameras=six",
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POINTCMT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def inputs(root: Path, *more: str) -> tuple[Split, Split]:
    found = load_inputs(load_config("shapes", [*OPTIONS, f"views.root={root}", *more]), CPU)
    return found.train, found.pool


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "views"
    inputs(folder)
    return folder


def test_the_embedded_shapes_are_rendered_once(root: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*.png")}
    assert len(times) == 6 * 12 * (2 + 1)
    inputs(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*.png")} == times


def test_a_part_of_the_split_keeps_its_own_pictures(root: Path) -> None:
    train, _ = inputs(root)
    part, pool = inputs(root, "data.fraction=0.5", "data.unlabelled=rest")
    for index, one in enumerate(pool.dataset.ids):
        expected = train.views(torch.tensor([list(train.dataset.ids).index(one)]))
        assert torch.equal(pool.views(torch.tensor([index])), expected)
    assert len(part) == 12
    assert len(pool) == 24


def test_drawn_views_are_some_of_the_objects_own_and_differ_between_epochs(root: Path) -> None:
    train, _ = inputs(root)
    index = torch.tensor([3])
    every = train.views(index)[0]  # (6, 3, 16, 16)
    config = load_config("shapes", [*OPTIONS, "views.drawn=2"])
    draws = [augmented_views(train, index, epoch, config)[0] for epoch in range(20)]
    places = [
        tuple((every == view).all((1, 2, 3)).nonzero()[0].item() for view in d) for d in draws
    ]
    assert all(len(place) == 2 and place[0] != place[1] for place in places)
    assert len(set(places)) > 5


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("views.size=32", "holds views made with"),
        ("views.look=normals", "holds views made with"),
        ("views.root=''", "views.root is missing"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(root: Path, option: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        inputs(root, option)


@pytest.mark.parametrize(("gigabytes", "objects"), [("4", 2), ("1e-9", 0), ("0", 0)])
def test_decoded_pictures_are_kept_where_the_split_fits(
    root: Path, cache: Path, gigabytes: str, objects: int
) -> None:
    train, _ = inputs(root, f"views.cache_gb={gigabytes}")
    views = train.views(torch.tensor([5, 0]))
    assert len(list(cache.rglob("*.npy"))) == objects
    assert torch.equal(train.views(torch.tensor([5, 0])), views)


SURFACES = ["views.kind=surface", "data.points=400", "generator.points=16", "data.per_class=2"]


def test_surfaces_are_drawn_once_of_every_cloud(tmp_path: Path) -> None:
    train, pool = inputs(tmp_path, *SURFACES, "data.fraction=0.5", "data.unlabelled=rest")
    assert len(list(tmp_path.rglob("*.png"))) == 6 * 12 * (2 + 1)
    with drawing(ViewSettings("surface", "six", 16)) as draw:
        for split in (train, pool):
            shown = split.views(torch.tensor([3]))[0]
            expected = torch.from_numpy(draw(split.dataset.points[3])).permute(0, 3, 1, 2) / 255
            torch.testing.assert_close(shown, expected)
    for path in tmp_path.rglob("*.png"):
        path.touch()
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    inputs(tmp_path, *SURFACES)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")} == times


def test_a_surface_may_have_more_points_than_the_student_gets(tmp_path: Path) -> None:
    train, _ = inputs(tmp_path, *SURFACES[:1], "data.points=32", "views.points=400")
    assert train.points.shape[1] == 32
    with drawing(ViewSettings("surface", "six", 16)) as draw:
        expected = torch.from_numpy(draw(train.dataset.points[0])).permute(0, 3, 1, 2) / 255
    assert train.dataset.points.shape[1] == 400
    torch.testing.assert_close(train.views(torch.tensor([0]))[0], expected)


def test_surfaces_of_other_clouds_are_not_taken(tmp_path: Path) -> None:
    inputs(tmp_path, *SURFACES)
    with pytest.raises(InputError, match="'points': 400"):
        inputs(tmp_path, *SURFACES, "data.points=300")


def test_pictures_of_another_kind_are_not_taken_for_surfaces(root: Path) -> None:
    with pytest.raises(InputError, match="holds views made with"):
        inputs(root, *SURFACES)


def test_a_cloud_without_a_surface_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bench.*a surface needs four points"):
        inputs(tmp_path, "views.kind=surface", "data.points=2", "generator.points=2")
