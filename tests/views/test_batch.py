"""Views of a whole data set on disk: complete, resumable, and one bad object does not stop it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pointcmt.data import RenderedViews
from pointcmt.errors import InputError
from pointcmt.geometry import read_mesh
from pointcmt.views import batch, project_depth
from pointcmt.views.batch import ViewJob, write_views
from pointcmt.views.pictures import VIEW_SETS, ViewSettings

PROJECT = ViewSettings("project", "six", 16)


def clouds(count, seed=0, channels=3):
    generator = np.random.default_rng(seed)
    raw = generator.random((count, 60, channels)).astype(np.float32)
    raw[..., :3] -= 0.5
    return raw


def jobs_of(count, channels=3):
    return [
        ViewJob(f"chair/train/chair_{i:04d}", cloud)
        for i, cloud in enumerate(clouds(count, channels=channels), start=1)
    ]


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.png")}


def test_pictures_are_the_projections_in_the_layout_that_is_read_back(tmp_path):
    report = write_views(jobs_of(3), tmp_path, PROJECT)
    assert (report.made, report.skipped, report.failed) == (3, 0, [])
    views = RenderedViews.of_all(tmp_path, "train", views=6)
    assert views.stems == [f"chair/train/chair_{i:04d}" for i in (1, 2, 3)]
    import torch

    expected = project_depth(torch.from_numpy(clouds(3)), 16)[1, :, 0].mul(255).round()
    assert np.array_equal(views[1][..., 0], expected.numpy())


def test_colors_give_colored_pictures(tmp_path):
    write_views(jobs_of(1, channels=6), tmp_path, PROJECT)
    with Image.open(tmp_path / "chair/train/chair_0001_001.png") as picture:
        assert picture.mode == "RGB"
        assert np.ptp(np.asarray(picture).astype(int), axis=2).max() > 20


def test_what_is_there_is_skipped_and_what_is_missing_made_again(tmp_path):
    write_views(jobs_of(4), tmp_path, PROJECT)
    before = files(tmp_path)
    (tmp_path / "chair/train/chair_0002_003.png").unlink()
    untouched = (tmp_path / "chair/train/chair_0003_001.png").stat().st_mtime_ns
    advanced = []
    report = write_views(jobs_of(4), tmp_path, PROJECT, advance=advanced.append)
    assert (report.made, report.skipped) == (1, 3)
    assert sum(advanced) == 4
    assert files(tmp_path) == before
    assert (tmp_path / "chair/train/chair_0003_001.png").stat().st_mtime_ns == untouched


def test_shares_together_are_the_whole(tmp_path):
    write_views(jobs_of(5), tmp_path / "whole", PROJECT)
    for part, count in enumerate((2, 2, 1)):
        report = write_views(jobs_of(5), tmp_path / "parts", PROJECT, share=slice(part, None, 3))
        assert (report.made, report.skipped) == (count, 0)
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    save, saved = batch.save, []

    def interrupted(out, stem, pictures):
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(stem)
        save(out, stem, pictures)

    with monkeypatch.context() as patch:
        patch.setattr(batch, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_views(jobs_of(5), tmp_path, PROJECT)
    report = write_views(jobs_of(5), tmp_path, PROJECT)
    assert (report.made, report.skipped) == (3, 2)
    assert len(files(tmp_path)) == 30


def test_several_processes_write_the_same_pictures(tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    write_views(jobs_of(20), alone, PROJECT)
    report = write_views(jobs_of(20), together, PROJECT, workers=2)
    assert report.made == 20
    assert files(together) == files(alone)


def test_a_bad_object_is_named_and_the_others_are_made(tmp_path):
    jobs = jobs_of(3)
    jobs[1] = ViewJob("chair/train/odd", np.zeros((5, 4), np.float32))
    report = write_views(jobs, tmp_path, PROJECT)
    assert report.made == 2
    (failure,) = report.failed
    assert failure.startswith("chair/train/odd: points must be (B, N, 3)")


def test_meshes_are_rendered_and_a_broken_one_is_named(tmp_path):
    pytest.importorskip("pyvista")
    trimesh = pytest.importorskip("trimesh")
    trimesh.creation.box().export(tmp_path / "box.off")
    (tmp_path / "broken.off").write_text("OFF\n3 1 0\n0 0 0\n")
    jobs = [ViewJob(f"thing/test/{name}", tmp_path / f"{name}.off") for name in ("box", "broken")]
    settings = ViewSettings("render", "dodecahedron", 32)
    report = write_views(jobs, tmp_path / "out", settings)
    assert report.made == 1
    assert len(report.failed) == 1
    assert "broken.off" in report.failed[0]
    assert RenderedViews.of_all(tmp_path / "out", "test")[0].shape == (20, 32, 32, 3)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mesh_without_its_materials_is_made_and_told(tmp_path, workers):
    pytest.importorskip("pyvista")
    text = "mtllib gone.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    (tmp_path / "a.obj").write_text(text)
    jobs = [ViewJob(f"thing/test/{i}", tmp_path / "a.obj") for i in range(17 if workers > 1 else 1)]
    report = write_views(jobs, tmp_path / "out", ViewSettings("render", "six", 8), workers)
    assert report.made == len(jobs)
    assert report.plainer == [
        f"{tmp_path / 'a.obj'}: drawn without gone.mtl, which cannot be read"
    ] * len(jobs)


def test_a_mesh_in_memory_is_rendered_like_its_file(tmp_path):
    pytest.importorskip("pyvista")
    trimesh = pytest.importorskip("trimesh")
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "box.off")
    jobs = [
        ViewJob("box/test/file", tmp_path / "box.off"),
        ViewJob("box/test/mesh", read_mesh(tmp_path / "box.off")),
    ]
    write_views(jobs, tmp_path / "out", ViewSettings("render", "six", 32))
    views = RenderedViews.of_all(tmp_path / "out", "test", views=6)
    assert np.array_equal(views[0], views[1])


def test_pictures_of_other_settings_are_not_mixed(tmp_path):
    write_views(jobs_of(1), tmp_path, PROJECT)
    assert json.loads((tmp_path / "views.json").read_text())["size"] == 16
    with pytest.raises(InputError, match=r"holds views made with .*name another folder"):
        write_views(jobs_of(1), tmp_path, ViewSettings("project", "six", 32))


def test_a_folder_that_names_no_look_holds_shaded_pictures(tmp_path):
    write_views(jobs_of(1), tmp_path, PROJECT)
    path = tmp_path / "views.json"
    settings = json.loads(path.read_text())
    assert settings.pop("look") == "shaded"
    path.write_text(json.dumps(settings))
    assert write_views(jobs_of(1), tmp_path, PROJECT).skipped == 1
    with pytest.raises(InputError, match="name another folder"):
        write_views(jobs_of(1), tmp_path, replace(PROJECT, look="normals"))


def test_a_damaged_settings_file_is_named(tmp_path):
    (tmp_path / "views.json").write_text("{")
    with pytest.raises(InputError, match=r"views\.json: is not JSON"):
        write_views(jobs_of(1), tmp_path, PROJECT)


def test_two_objects_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="two objects are named chair/train/chair_0001"):
        write_views(jobs_of(1) + jobs_of(1), tmp_path, PROJECT)


def test_a_full_disk_keeps_whole_pictures_only(tmp_path, monkeypatch):
    save, saved = Image.Image.save, []

    def fills_up(self, path, **options):
        save(self, path, **options)
        saved.append(path)
        if len(saved) == 4:
            path.write_bytes(path.read_bytes()[:20])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fills_up)
    with pytest.raises(InputError, match=r"No space left on device.*run the same command again"):
        write_views(jobs_of(2), tmp_path, PROJECT)
    assert len(files(tmp_path)) == 3
    monkeypatch.setattr(Image.Image, "save", save)
    assert write_views(jobs_of(2), tmp_path, PROJECT).made == 2


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "paint"}, {"views": "seven"}, {"up": "x"}, {"look": "bright"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_unknown_settings_list_the_known_ones(wrong):
    with pytest.raises(InputError, match=f"unknown {next(iter(wrong))} .*: use one of"):
        ViewSettings(**{"kind": "project", "views": "six", "size": 8, **wrong})


@pytest.mark.parametrize("name", VIEW_SETS)
@pytest.mark.parametrize("up", ["y", "z"])
def test_every_set_of_views_is_upright(name, up):
    cameras = ViewSettings("project", name, 8, up).cameras
    vertical = {"y": [0, 1, 0], "z": [0, 0, 1]}[up]
    assert (cameras[:, 1] @ np.array(vertical) <= 1e-6).all()
