"""What training reads: shares of a split, held-out objects, and every kind of view."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pointcmt.data import CloudDataset, Shapes
from pointcmt.errors import InputError
from pointcmt.views import SIX_VIEWS
from pointcmt_training import inputs as reading
from pointcmt_training.config import DataConfig, ViewsConfig
from pointcmt_training.inputs import Inputs, load_inputs
from pointcmt_training.recipe import load_config
from pointcmt_training.stages.common import augmented
from tests.reference.projection import certain, draw
from tests.training import made

SMALL = ["data.points=16", "data.per_class=8", "generator.points=8"]


def load(*overrides: str) -> Inputs:
    return load_inputs(load_config("shapes", [*SMALL, *overrides]), torch.device("cpu"))


@pytest.mark.parametrize(("fraction", "each"), [(1.0, 8), (0.5, 4), (0.25, 2)])
def test_a_fraction_takes_its_share_of_every_class(fraction: float, each: int) -> None:
    inputs = load(f"data.fraction={fraction}")
    assert torch.bincount(inputs.train.labels).tolist() == 12 * [each]
    assert torch.bincount(inputs.test.labels).tolist() == 12 * [4], "the test split stays whole"
    assert inputs.train.points.shape == (12 * each, 16, 3)


def test_the_share_holds_training_clouds_with_their_own_labels_and_follows_its_seed() -> None:
    whole = Shapes("train", 8, 16)
    known = {
        cloud.tobytes(): label for cloud, label in zip(whole.points, whole.labels, strict=True)
    }
    shares = [load("data.fraction=0.25", f"data.subset_seed={seed}").train for seed in (0, 0, 1)]
    for share in shares:
        labels = [known[cloud.tobytes()] for cloud in share.points.numpy()]
        assert labels == share.labels.tolist()
    assert torch.equal(shares[0].points, shares[1].points)
    assert not torch.equal(shares[0].points, shares[2].points)


def test_validation_is_cut_from_train_and_shares_nothing_with_it() -> None:
    inputs = load("data.validation=0.25")
    assert inputs.validation is not None
    assert torch.bincount(inputs.validation.labels).tolist() == 12 * [2]
    train, held = (set(split.dataset.ids) for split in (inputs.train, inputs.validation))
    assert not train & held
    assert train | held == set(Shapes("train", 8, 16).ids)
    assert load().validation is None


def test_rendered_pictures_are_those_of_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def views(
        config: ViewsConfig, data: DataConfig, dataset: CloudDataset, split: str
    ) -> made.Pictures:
        asked.append((config.root, split, list(dataset.ids)))
        return made.Pictures(len(dataset))

    monkeypatch.setattr(reading, "rendered", views)
    inputs = load("views.kind=rendered", "views.root=pictures", "data.fraction=0.5")
    expected = [
        ("pictures", split, list(Shapes(split, n, 16).ids))
        for split, n in (("train", 8), ("test", 4))
    ]
    assert asked == expected
    ids = Shapes("train", 8, 16).ids
    chosen = [ids.index(name) for name in inputs.train.dataset.ids]
    pixels = made.Pictures(96).pixels[chosen]
    found = inputs.train.views(torch.tensor([5, 0, 3])).numpy()
    np.testing.assert_allclose(found, pixels[[5, 0, 3]].transpose(0, 1, 4, 2, 3) / 255, rtol=1e-6)


def test_rendered_views_are_the_pictures_upright_in_rgb_from_0_to_1() -> None:
    split = made.split(7, 0, ViewsConfig(kind="rendered"))
    found = split.views(torch.tensor([6, 2]))
    assert found.shape == (2, 2, 3, 18, 24)
    pictures = split.dataset.views
    assert pictures is not None
    for row, index in enumerate((6, 2)):
        for view, channel, y, x in [(0, 0, 0, 0), (1, 2, 17, 3), (0, 1, 4, 23), (1, 0, 9, 11)]:
            value = float(pictures[index][view, y, x, channel]) / 255
            assert found[row, view, channel, y, x].item() == pytest.approx(value)


@pytest.mark.parametrize("kind", ["projected", "projected-color"])
def test_projected_views_are_those_of_the_objects_asked_for(kind: str) -> None:
    size, splat = 20, 3
    split = made.split(7, 4, ViewsConfig(kind=kind, size=size))  # type: ignore[arg-type]
    indices = [6, 1]
    found = split.views(torch.tensor(indices)).numpy()
    for row, index in enumerate(indices):
        values = split.dataset.points[index]
        assert certain(values[:, :3], SIX_VIEWS, size, splat, margin=1e-5).all()
        for view, rotation in enumerate(SIX_VIEWS):
            colors = values[:, 3:] if kind == "projected-color" else None
            expected = draw(values[:, :3], rotation, size, splat, colors=colors)
            np.testing.assert_allclose(
                found[row, view].squeeze(), expected, atol=1e-5, err_msg=f"{index}, view {view}"
            )


def test_clouds_given_are_projected_in_place_of_the_stored_ones() -> None:
    split = made.split(7, 4, ViewsConfig(kind="projected-color", size=16))
    indices = torch.tensor([3, 5])
    moved = split.points[indices] * 0.5
    assert not torch.equal(split.views(indices, moved), split.views(indices))
    torch.testing.assert_close(split.views(indices, split.points[indices]), split.views(indices))


def with_normals(root: Path) -> Path:
    """Two classes of coloured spheres, whose normals are their points."""
    for index in range(12):
        random = np.random.default_rng(index)
        points = random.normal(size=(16, 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        folder = root / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        colors = random.integers(0, 256, (16, 3)).astype(np.uint8)
        np.savez(folder / f"{index}.npz", points=points, normals=points, colors=colors)
    return root


@pytest.mark.parametrize("names", ["nx,ny,nz,r,g,b", "r,g,b,nx,ny,nz"])
def test_normals_turn_with_their_cloud_whichever_channels_they_are(
    names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTCMT_CACHE", str(tmp_path / "cache"))
    own = own_folder(with_normals(tmp_path / "own"), f"data.channels=[x,y,z,{names}]")
    config = load_config("shapes", [*own, "options.channels=9", "augmentation.rotate=any"])
    split = load_inputs(config, torch.device("cpu")).train
    places = [split.channels.index(name) for name in ("nx", "ny", "nz")]
    seen = augmented(split, torch.arange(4), 0, config)
    changed = seen[..., :3] - seen[..., :3].mean(dim=1, keepdim=True)
    assert split.normals == tuple(places)
    assert torch.cosine_similarity(changed, seen[..., places], dim=2).mean() > 0.6


def test_a_part_of_a_normal_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTCMT_CACHE", str(tmp_path / "cache"))
    own = own_folder(with_normals(tmp_path / "own"), "data.channels=[x,y,z,nx,ny,nz]")
    with pytest.raises(InputError, match=r"options\.channels=5: takes nx, ny, a part of a normal"):
        load_inputs(load_config("shapes", [*own, "options.channels=5"]), torch.device("cpu"))


@pytest.mark.parametrize("value", ["abc", "null", "3.5", "true"])
def test_channels_are_a_whole_number(value: str) -> None:
    with pytest.raises(InputError, match=r"options\.channels=.*: must be a whole number"):
        load(f"options.channels={value}")


def own_folder(root: Path, *more: str) -> list[str]:
    small = [word for word in SMALL if not word.startswith("data.per_class")]
    return [*small, "data.name=folder", f"data.root={root}", "data.test_share=0.3", *more]


def test_no_colours_no_coloured_views(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no colours"):
        load("views.kind=projected-color")
