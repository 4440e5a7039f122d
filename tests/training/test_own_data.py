"""A run on one's own folder: any layout and number of views, changed data, a corrected start."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pointcmt.errors import InputError
from pointcmt_training import run as running
from pointcmt_training.inputs import load_inputs
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run
from tests.training.tiny import TINY

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _away(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of prepared clouds is the test's own, and no report is drawn."""
    monkeypatch.setenv("POINTCMT_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(running, "write_report", lambda *_: None)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Two classes, twelve training and four test clouds each."""
    for label, name in enumerate(("flat", "tall")):
        for split, count in (("train", 12), ("test", 4)):
            for index in range(count):
                add(tmp_path / "own" / name / split / f"{index}.npy", label, index)
    return tmp_path / "own"


def add(path: Path, label: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cloud = np.random.default_rng((label, seed)).normal(size=(64, 3))
    np.save(path, cloud * ((1, 0.1, 1) if label == 0 else (0.1, 1, 0.1)))


def draw(own: Path, pictures: Path, views: int) -> None:
    for path in own.rglob("*.npy"):
        folder = pictures / path.parent.relative_to(own)
        folder.mkdir(parents=True, exist_ok=True)
        for view in range(1, views + 1):
            shade = 255 if "tall" in path.parts else 60
            Image.new("RGB", (16, 16), (shade, view, 0)).save(
                folder / f"{path.stem}_{view:03d}.png"
            )


def settings(own: Path, *more: str) -> list[str]:
    mine = ["data.name=folder", f"data.root={own}", "method=none", "training.epochs=1"]
    return [*(text for text in TINY if not text.startswith("data.per_class")), *mine, *more]


@pytest.mark.parametrize("views", [1, 6])
def test_pictures_of_ones_own_are_read(own: Path, tmp_path: Path, views: int) -> None:
    draw(own, tmp_path / "pictures", views)
    more = ("method=pointcmt", "views.kind=rendered", f"views.root={tmp_path / 'pictures'}")
    inputs = load_inputs(load_config("shapes", settings(own, *more)), CPU)
    shown = inputs.train.views(torch.arange(len(inputs.train)))
    assert shown.shape == (24, views, 3, 16, 16)
    assert torch.equal(shown[:, 0, 0, 0, 0] == 1, inputs.train.labels == 1)


def test_a_first_start_that_failed_does_not_stand_in_the_way(own: Path, tmp_path: Path) -> None:
    root = tmp_path / "run"
    with pytest.raises(InputError, match=r"data\.root is missing: name folder's folder"):
        run(load_config("shapes", settings(Path(), "data.root=''")), root)
    with pytest.raises(InputError, match="batch_size"):
        run(load_config("shapes", settings(own, "training.batch_size=100")), root)
    assert run(load_config("shapes", settings(own)), root)["student"]["overall"] >= 0


def test_a_run_on_data_that_changed_is_refused_with_the_difference(
    own: Path, tmp_path: Path
) -> None:
    config, root = load_config("shapes", settings(own)), tmp_path / "run"
    first = run(config, root)
    assert run(config, root) == first
    add(own / "flat" / "train" / "more.npy", 0, 99)
    with pytest.raises(InputError, match=r"data changed .*train has 13 of 'flat', not 12"):
        run(config, root)
    (own / "flat" / "train" / "more.npy").unlink()
    (own / "flat").rename(own / "wide")
    with pytest.raises(InputError, match="class 'wide' is new; class 'flat' is gone"):
        run(config, root)
    (own / "wide").rename(own / "flat")
    add(own / "flat" / "train" / "3.npy", 0, 77)
    with pytest.raises(InputError, match="train has other clouds"):
        run(config, root)
    more = (f"stages_from={root}", "method=pointcmt")
    with pytest.raises(InputError, match="no finished teacher"):
        run(load_config("shapes", settings(own, *more)), tmp_path / "other")


def test_data_that_moved_are_the_same_data(own: Path, tmp_path: Path) -> None:
    """As on another machine: the run is resumed, and its teacher is taken, by the clouds."""
    first, moved = tmp_path / "first", tmp_path / "moved"
    images = ("method=pointcmt", "teacher.epochs=1", "generator.epochs=1")
    result = run(load_config("shapes", settings(own, *images)), first)
    own.rename(moved)
    assert run(load_config("shapes", settings(moved, *images)), first) == result
    more = (*images, f"stages_from={first}")
    assert run(load_config("shapes", settings(moved, *more)), tmp_path / "second")["teacher"]
    (first / "result.json").unlink()
    run(load_config("shapes", settings(moved, *images)), first)
    assert str(moved) in (first / "config.yaml").read_text()
    add(moved / "flat" / "train" / "3.npy", 0, 77)
    with pytest.raises(InputError, match="trained on other data"):
        run(load_config("shapes", settings(moved, *more)), tmp_path / "third")


def test_a_folder_without_splits_is_parted(tmp_path: Path) -> None:
    for label, name in enumerate(("flat", "tall")):
        for index in range(10):
            add(tmp_path / "own" / name / f"{index}.npy", label, index)
    more = ("data.test_share=0.2", "data.subset_seed=3")
    inputs = load_inputs(load_config("shapes", settings(tmp_path / "own", *more)), CPU)
    assert (len(inputs.train), len(inputs.test)) == (16, 4)
    with pytest.raises(InputError, match=r"data\.test_share=0\.2"):
        load_inputs(load_config("shapes", settings(tmp_path / "own")), CPU)


def test_classes_that_cannot_be_learned_are_named(own: Path) -> None:
    (own / "round" / "test").mkdir(parents=True)
    add(own / "round" / "test" / "0.npy", 0, 5)
    with pytest.raises(InputError, match="has no object of round to train on"):
        load_inputs(load_config("shapes", settings(own)), CPU)
    for name in ("round", "tall"):
        (own / name).rename(own / f".{name}")
    with pytest.raises(InputError, match="flat is its only class"):
        load_inputs(load_config("shapes", settings(own)), CPU)


def test_the_vertical_axis_and_the_channels_reach_the_model(own: Path, tmp_path: Path) -> None:
    from pointcmt.checkpoint import load_student

    run(load_config("shapes", settings(own, "data.up=-z")), tmp_path / "run")
    model = load_student(tmp_path / "run" / "student")[1]
    assert (model.up, tuple(model.channels or ())) == ("-z", ("x", "y", "z"))
    with pytest.raises(InputError, match=r"states no vertical axis; name it with data\.up"):
        run(load_config("shapes", settings(own, "augmentation.rotate=vertical")), tmp_path / "run2")


def with_columns(root: Path, names: str) -> Path:
    """Two classes of text files with these columns, named by a header."""
    for index in range(4):
        file = root / "ab"[index % 2] / f"{index}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = np.random.default_rng(index).uniform(size=(16, len(names.split(","))))
        np.savetxt(file, rows, delimiter=",", header=names, comments="")
    return root


@pytest.mark.parametrize(
    ("names", "more", "words"),
    [
        ("x,y,z", [], None),
        (
            "x,y,z,nx,ny,nz",
            [],
            "0.csv: nx, ny, nz of its points are not used; "
            "data.channels=[x,y,z,nx,ny,nz] options.channels=6 takes them\n",
        ),
        (
            "x,y,z,r,g,b",
            ["data.channels=[x,y,z,r,g,b]"],
            "0.csv: r, g, b of its points are not used; data.channels=[x,y,z,r,g,b] options.ch",
        ),
        ("x,y,z,r,g,b", ["data.channels=[x,y,z,r,g,b]", "options.channels=6"], None),
        ("x,y,z,r,g,b", ["data.channels=[x,y,z,r,g,b]", "views.kind=projected-color"], None),
        ("x,y,z,a,b,c,d,e,f,g", [], "0.csv: a, b, c, d, e, f, g of its points are not used\n"),
    ],
)
def test_channels_of_the_files_that_nothing_uses_are_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: str, more: list[str], words: str
) -> None:
    folder = with_columns(tmp_path / "own", names)
    config = load_config("shapes", settings(folder, "data.test_share=0.5", *more))
    load_inputs(config, CPU)
    said = capsys.readouterr().err
    assert said.count("Warning: ") == (words is not None)
    assert words is None or words in said


def test_a_surface_has_no_channels_that_could_be_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abcd":
        place = tmp_path / "own" / "ab"[name in "cd"] / f"{name}.off"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    load_inputs(load_config("shapes", settings(tmp_path / "own", "data.test_share=0.5")), CPU)
    assert "Warning" not in capsys.readouterr().err
