"""`pointcmt-data` as a user calls it: answers, files, exit status and the words of errors."""

import hashlib
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pointcmt.data import CATALOG, RenderedViews, catalog
from pointcmt.data.catalog import PICTURES
from pointcmt.data.cli import main
from pointcmt.data.readers.rendered import picture_name
from pointcmt.data.tools.viewing import vertical
from pointcmt.fetch.mirrors import Archive, Mirror
from tests.fetch.faulty_server import serve
from tests.fetch.test_archive import make


def run(*arguments, status=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return result


@pytest.fixture
def clouds(tmp_path):
    """A folder of one's own: two classes, two splits, small clouds."""
    generator = np.random.default_rng(0)
    for name in ("chair", "table"):
        for split, count in (("train", 3), ("test", 2)):
            folder = tmp_path / "own" / name / split
            folder.mkdir(parents=True)
            for i in range(count):
                np.save(folder / f"{name}_{i}.npy", generator.random((1024, 3), np.float32))
    return tmp_path / "own"


@pytest.fixture
def meshes(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    for split in ("train", "test"):
        folder = tmp_path / "meshes" / "box" / split
        folder.mkdir(parents=True)
        trimesh.creation.box((1, 2, 3)).export(folder / f"box_{split}.off")
    return tmp_path / "meshes"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A data set `toy` on a loopback server."""
    body = make(tmp_path / "toy.zip", {"set/a.npy": b"points"}).read_bytes()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve(body) as (address, state):
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        mirror = Mirror(f"{address}/toy.zip", digest)
        archive = Archive("toyset", "*.npy", "https://example.org", (mirror,), 0.001)
        monkeypatch.setattr(catalog, "PICTURES", {"toy": archive})
        yield state


def test_help_names_every_command():
    text = run("--help").output
    for command in ("list", "download", "check", "views", "show"):
        assert command in text
        assert "Usage" in run(command, "--help").output


def test_list_tells_what_is_there(tmp_path):
    (tmp_path / "ModelNet40").mkdir()
    text = run("list", "--root", tmp_path).output
    assert f"in {tmp_path / 'ModelNet40'}" in text
    assert "shapes" in text
    rows = json.loads(run("list", "--root", tmp_path, "--json").output)
    assert {row["name"]: row["present"] for row in rows} == {
        name: name == "modelnet40-meshes" for name in (*CATALOG, *PICTURES)
    }
    assert all(row["sources"] for row in rows if row["page"])


def test_download_prints_the_folder_last(toy, tmp_path):
    result = run("download", "toy", "--root", tmp_path / "data")
    assert result.stdout.splitlines()[-1] == str(tmp_path / "data" / "toyset")
    assert (tmp_path / "data" / "toyset" / "a.npy").read_bytes() == b"points"


def test_download_from_an_own_archive(toy, tmp_path):
    run("download", "toy", "--root", tmp_path / "data", "--from-archive", tmp_path / "toy.zip")
    assert toy.seen == []
    assert (tmp_path / "data" / "toyset" / "a.npy").is_file()


def test_download_of_an_unknown_name_lists_the_known_ones():
    message = run("download", "modelnet4", status=1).stderr
    assert message.startswith("Error: no data set 'modelnet4' to download: use one of modelnet40, ")


def test_a_failed_download_tells_the_manual_steps(toy, tmp_path):
    toy.faults["/toy.zip"] = ["status:404"]
    message = run("download", "toy", "--root", tmp_path / "data", status=1).stderr
    assert "the server answers 404" in message
    assert "--from-archive toy.zip" in message


def test_check_reports_and_its_status_follows(clouds):
    assert "ok" in run("check", clouds).output
    np.save(clouds / "chair/test/copy.npy", np.load(clouds / "chair/train/chair_0.npy"))
    report = json.loads(run("check", clouds, "--json", status=1).stdout)
    assert not report["ok"]
    assert "also occur in" in report["problems"][0]


def test_views_of_clouds_are_projected_and_not_made_twice(clouds, tmp_path):
    arguments = ("views", clouds, "--size", 24, "--workers", 1, "--json")
    report = json.loads(run(*arguments).stdout)
    out = clouds.with_name("own-views")
    assert report == {"out": str(out), "made": 10, "skipped": 0, "failed": []}
    views = RenderedViews.of_all(out, "train", views=6)
    assert views.stems[0] == "chair/train/chair_0"
    assert views[0].shape == (6, 24, 24, 3)
    assert json.loads(run(*arguments).stdout)["skipped"] == 10


def test_views_of_meshes_are_rendered(meshes):
    pytest.importorskip("pyvista")
    (meshes / "box/test/broken.off").write_text("OFF\n")
    choice = ("--views", "six", "--size", 32, "--look", "normals", "--workers", 1)
    result = run("views", meshes, *choice, status=1)
    assert "failed: " in result.stderr
    assert "broken.off" in result.stderr
    assert "2 made, 0 there, 1 failed" in result.stdout
    settings = json.loads((meshes.with_name("meshes-views") / "views.json").read_text())
    assert settings["kind"] == "render"
    assert settings["up"] == "z"
    assert settings["look"] == "normals"


def test_views_of_clouds_may_show_their_surface(clouds, tmp_path):
    pytest.importorskip("pyvista")
    height = np.linspace(-1, 1, 900)
    turns = np.pi * (1 + 5**0.5) * np.arange(900)  # Fibonacci's lattice on the sphere
    flat = np.sqrt(1 - height**2)
    ball = np.stack([flat * np.cos(turns), height, flat * np.sin(turns)], axis=1)
    for path in clouds.rglob("*.npy"):
        np.save(path, ball.astype(np.float32))
    np.save(clouds / "chair/test/thin.npy", np.eye(3, dtype=np.float32)[:2])
    choice = ("--kind", "surface", "--views", "ring12", "--size", 24, "--workers", 1)
    result = run("views", clouds, *choice, status=1)
    assert "failed: " in result.stderr
    assert "a surface needs four points" in result.stderr
    out = clouds.with_name("own-views")
    settings = json.loads((out / "views.json").read_text())
    assert (settings["kind"], settings["points"]) == ("surface", 1024)
    shown = RenderedViews.of_all(out, "train", views=12)[0]
    assert shown.shape == (12, 24, 24, 3)
    assert (shown[:, 9:15, 9:15] > 0).all()


def test_a_look_is_for_rendered_meshes(meshes, tmp_path):
    out = tmp_path / "projected"
    arguments = ("--kind", "project", "--look", "normals", "--out", out)
    refused = run("views", meshes, *arguments, status=1).stderr
    assert "--look normals is for what is rendered" in refused
    assert not out.exists()


def test_meshes_can_be_projected_too(meshes, tmp_path):
    out = tmp_path / "projected"
    arguments = ("--kind", "project", "--out", out, "--size", 16, "--workers", 1)
    assert run("views", meshes, *arguments).stdout.splitlines()[-1] == str(out)
    assert len(list(out.rglob("*.png"))) == 12


def test_meshes_of_a_tree_without_splits_are_all_drawn(meshes, tmp_path):
    for split in ("train", "test"):
        (meshes / "box" / split / f"box_{split}.off").rename(meshes / "box" / f"{split}ed.off")
        (meshes / "box" / split).rmdir()
    out = tmp_path / "projected"
    run("views", meshes, "--kind", "project", "--out", out, "--size", 16, "--workers", 1)
    assert {path.name[:6] for path in out.rglob("*.png")} == {"traine", "tested"}
    assert len(list(out.rglob("*.png"))) == 12


def test_the_meshes_of_the_embedded_set_can_be_rendered(tmp_path):
    pytest.importorskip("pyvista")
    out = tmp_path / "out"
    choice = ("--kind", "rendered", "--views", "six", "--size", 16, "--out", out, "--workers", 1)
    assert "24 made" in run("views", "shapes:1", *choice).stdout
    assert RenderedViews.of_all(out, "test", views=6)[0].any()


def test_show_of_the_embedded_set_has_rendered_views(tmp_path):
    pytest.importorskip("pyvista")
    run("show", "shapes:1#3", "--out", tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.width > 3 * picture.height


def test_views_of_other_settings_are_refused(clouds):
    run("views", clouds, "--size", 24, "--workers", 1)
    message = run("views", clouds, "--size", 32, "--workers", 1, status=1).stderr
    assert message.startswith("Error: ")
    assert "name another folder" in message


def test_pictures_are_made_as_asked(clouds, tmp_path):
    out = tmp_path / "out"
    arguments = ("--views", "ring12", "--size", 16, "--splat", 5, "--up", "z", "--workers", 1)
    run("views", clouds, *arguments, "--out", out)
    settings = json.loads((out / "views.json").read_text())
    asked = {"kind": "project", "views": "ring12", "size": 16, "up": "z", "splat": 5}
    assert settings == {**asked, "look": "shaded", "points": 0}
    assert len(list(out.rglob("*.png"))) == 10 * 12


def test_a_sheet_shows_as_many_points_and_the_vertical_that_are_asked_for(clouds, tmp_path):
    def shown(*arguments):
        run("show", clouds / "chair/train/chair_0.npy", "--out", tmp_path / "x.png", *arguments)
        return (tmp_path / "x.png").read_bytes()

    usual = shown()
    assert shown("--up", "y") == usual
    assert shown("--up", "z") != usual
    assert shown("--points", 8) != usual


def test_a_missing_folder_is_named(tmp_path):
    for command in ("check", "views"):
        assert "no such folder" in run(command, tmp_path / "none", status=1).stderr


def test_a_data_set_may_be_named_before_its_folder(clouds):
    assert "own/train: 6 clouds" in run("check", f"folder:{clouds}").output
    assert "shapes/test: 12 clouds" in run("check", "shapes:1").output
    message = run("check", f"modelnet40:{clouds}", status=1).stderr
    assert "has no ply_data_train*.h5" in message


def test_a_folder_of_several_data_sets_is_answered_with_their_names(tmp_path):
    for folder in ("main_split", "main_split_nobg"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test_objectdataset.h5").touch()
    message = run("check", tmp_path, status=1).stderr
    assert f"scanobjectnn-obj-only:{tmp_path}, scanobjectnn-obj-bg:{tmp_path}" in message


@pytest.mark.parametrize("which", ["#1", "#chair/train/chair_1.npy"])
def test_show_draws_an_object_of_a_data_set(clouds, tmp_path, which):
    out = tmp_path / "sheet.png"
    assert run("show", f"{clouds}{which}", "--out", out).stdout.strip() == str(out)
    with Image.open(out) as picture:
        assert np.ptp(np.asarray(picture)) > 100


def test_show_draws_a_file(meshes, tmp_path):
    out = tmp_path / "sheet.png"
    run("show", meshes / "box/train/box_train.off", "--out", out)
    with Image.open(out) as picture:
        assert picture.width > picture.height


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ("own#999", "has no object '999'"),
        ("own#chair/none", "has no object 'chair/none'"),
        ("own", "is a folder; name an object of it"),
        ("none.npy", "no such file"),
        ("none", "no such file or folder"),
        ("none#1", "no such folder"),
    ],
)
def test_show_names_what_is_not_there(clouds, tmp_path, sample, words):
    assert words in run("show", tmp_path / sample, "--out", tmp_path / "x.png", status=1).stderr
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("name", ["sheet.jpg", "sheet.xyz", "sheet"])
def test_show_writes_no_png_under_the_name_of_something_else(tmp_path, name):
    result = run("show", "shapes:1#3", "--out", tmp_path / name, status=1)
    assert "the picture is a PNG; give it a name that ends in .png" in result.stderr
    assert not (tmp_path / name).exists()


def test_picture_names_are_the_objects_own():
    assert picture_name("chair/chair_0001", "chair", "train") == "chair_0001"
    assert picture_name("chair/train/x.off", "chair", "train") == "x"
    assert picture_name("ply_data_test0/13", "chair", "test") == "ply_data_test0-13"
    assert picture_name("chair", "chair", "test") == "chair"


def test_the_vertical_follows_the_format(meshes, clouds, tmp_path):
    assert vertical(meshes) == "z"
    assert vertical(clouds) == "y"
    assert vertical(tmp_path / "some.glb") == "y"


@pytest.mark.parametrize("share", ["0/2", "3/2", "1", "1/0", "a/b"])
def test_a_share_that_is_none_is_refused(share):
    assert (
        f"'{share}' is not a part of so many"
        in run("views", "shapes:1", "--share", share, status=2).stderr
    )


def test_a_share_is_counted_alone(tmp_path):
    arguments = ("views", "shapes:1", "--size", 16, "--workers", 1, "--out", tmp_path / "out")
    assert "8 made, 0 there" in run(*arguments, "--share", "3/3").stdout
