import os
import shutil

import numpy as np
import pytest
import trimesh

from pointcmt.data import (
    MODELNET10_CLASSES,
    MODELNET40_CLASSES,
    CloudFolder,
    ModelNetMeshes,
    open_dataset,
)
from pointcmt.data.tools.check import check
from pointcmt.data.tools.viewing import mesh_jobs, refer, stored_splits
from pointcmt.errors import InputError

TETRAHEDRON = "4 4 0\n0 0 0\n2 0 0\n0 2 0\n0 0 2\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def checked(root):
    return check(stored_splits(refer(f"folder:{root}")))


@pytest.fixture
def own(tmp_path):
    """A folder of one's own: two classes, both splits, meshes and clouds in several formats."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind in ("off", "obj", "ply", "stl", "glb"):
            box = trimesh.creation.box((1, 2, 3))
            write(tmp_path / "boxes" / split / f"a.{kind}", box.export(file_type=kind))
        np.save(tmp_path / "boxes" / split / "b.npy", rng.normal(size=(500, 3)))
        write(tmp_path / "balls" / split / "c.xyz", "0 0 0\n1 1 1\n0 1 0\n")
    write(tmp_path / "boxes" / "train" / "readme.md", "not an object")
    (tmp_path / ".git").mkdir()
    return tmp_path


# --- a folder of one's own


def test_meshes_and_clouds_of_all_formats_are_read(own):
    train = CloudFolder(own, "train", points=128)
    assert train.classes == ("balls", "boxes")
    assert train.labels.tolist() == [0, 1, 1, 1, 1, 1, 1]
    assert train.ids[0] == "balls/train/c.xyz"
    assert train.points.shape == (7, 128, 3)
    assert np.allclose(np.linalg.norm(train.points, axis=2).max(axis=1), 1, atol=1e-5)
    assert train.name == f"{own.name}/train"


def test_objects_do_not_share_random_numbers_but_repeat_them(own):
    first = CloudFolder(own, points=64, cache=own / ".one")
    again = CloudFolder(own, points=64, cache=own / ".two")
    assert first.fingerprint() == again.fingerprint()
    assert not np.allclose(first.points[3], first.points[4])  # the same box from two files
    assert first.fingerprint() != CloudFolder(own, points=64, seed=1).fingerprint()


def test_workers_prepare_the_same_clouds(own):
    one = CloudFolder(own, points=64, cache=own / ".one")
    two = CloudFolder(own, points=64, cache=own / ".two", workers=2)
    assert one.fingerprint() == two.fingerprint()


def test_a_folder_without_splits_is_read_as_all(tmp_path):
    write(tmp_path / "cup" / "a.off", "OFF\n" + TETRAHEDRON)
    write(tmp_path / "bowl" / "b.off", "OFF\n" + TETRAHEDRON)
    whole = CloudFolder(tmp_path, "all", points=32, name="mine", normalization="none")
    assert whole.ids == ["bowl/b.off", "cup/a.off"]
    assert whole.name == "mine/all"
    assert whole.normalization == "none"
    assert whole.points.max() > 1
    with pytest.raises(InputError, match="read it with split 'all'"):
        CloudFolder(tmp_path, "train")


def test_all_joins_both_splits(own):
    assert len(CloudFolder(own, "all", points=16)) == 14


def test_a_class_without_objects_in_a_split_keeps_its_number(own):
    for path in (own / "balls" / "test").iterdir():
        path.unlink()
    (own / "balls" / "test").rmdir()
    test = CloudFolder(own, "test", points=16)
    assert test.classes == ("balls", "boxes")
    assert set(test.labels.tolist()) == {1}


def test_a_missing_split_is_named(own):
    with pytest.raises(InputError, match="has no 'val' folders; there are train, test"):
        CloudFolder(own, "val")


def test_a_split_may_come_before_the_class(own, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for split in ("train", "test"):
        for name in ("balls", "boxes"):
            (other / split).mkdir(parents=True, exist_ok=True)
            shutil.copytree(own / name / split, other / split / name)
    there, here = CloudFolder(other, points=32), CloudFolder(own, points=32)
    assert there.classes == here.classes
    assert there.labels.tolist() == here.labels.tolist()
    assert there.ids[0] == "train/balls/c.xyz"
    assert len(CloudFolder(other, "all", points=32)) == 14


def test_what_other_systems_leave_is_passed_over(own):
    write(own / "boxes" / "train" / "._a.off", b"\x00\x05\x16\x07")
    write(own / "__MACOSX" / "boxes" / "._x", "junk")
    write(own / "__MACOSX" / "train" / "b.off", "OFF\n" + TETRAHEDRON)
    write(own / "boxes" / "train" / "__MACOSX" / "c.off", "OFF\n" + TETRAHEDRON)
    assert CloudFolder(own, points=16).classes == ("balls", "boxes")
    assert len(CloudFolder(own, points=16)) == 7


def test_a_model_may_have_a_folder_of_its_own(own):
    folder = own / "boxes" / "train" / "one"
    write(folder / "model.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    write(folder / "model.mtl", "newmtl red\n")
    write(folder / "readme.txt", "not points")
    assert "boxes/train/one/model.obj" in CloudFolder(own, points=16).ids
    write(folder / "other.off", "OFF\n" + TETRAHEDRON)
    with pytest.raises(InputError, match=r"one: holds 2 objects \(model.obj, other.off"):
        CloudFolder(own, points=16)


def test_a_model_may_lie_deeper_as_shapenet_s_do(own):
    folder = own / "boxes" / "train" / "1a04e3"
    write(folder / "models" / "model_normalized.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    write(folder / "models" / "model_normalized.solid.binvox", "#binvox 1")
    write(folder / "images" / "texture0.jpg", "picture")
    assert "boxes/train/1a04e3/models/model_normalized.obj" in CloudFolder(own, points=16).ids
    write(folder / "other" / "b.off", "OFF\n" + TETRAHEDRON)
    with pytest.raises(InputError, match="1a04e3: holds 2 objects"):
        CloudFolder(own, points=16)


def test_names_need_not_be_unicode(own):
    name = os.fsdecode(b"d\xe9j\xe0.off")
    write(own / "boxes" / "train" / name, "OFF\n" + TETRAHEDRON)
    data = CloudFolder(own, points=16)
    assert f"boxes/train/{name}" in data.ids
    assert data.fingerprint != CloudFolder(own, "test", points=16).fingerprint
    assert checked(own).splits[0].clouds == 8


def test_two_small_objects_far_from_the_origin_are_two(tmp_path):
    far = np.array([512345.0, 5412345.0, 412.1])
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) * 0.01
    faces = "3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"
    for split, scale in (("train", 1.0), ("test", [1.0, 2.0, 1.0])):
        rows = "\n".join(" ".join(f"{v:.4f}" for v in row) for row in corners * scale + far)
        write(tmp_path / "boxes" / split / f"{split}.off", f"OFF\n4 4 0\n{rows}\n{faces}")
    found = checked(tmp_path)
    assert not [told for told in found.problems if "also occur" in told]
    assert not [note for note in found.notes if "coincide" in note]


def test_the_buffer_of_a_gltf_is_no_object(own):
    folder = own / "boxes" / "train"
    for name, content in trimesh.exchange.gltf.export_gltf(trimesh.creation.box().scene()).items():
        write(folder / name.replace("model", "d"), content)
    ids = CloudFolder(own, points=16).ids
    assert len(ids) == 8
    assert "boxes/train/d.gltf" in ids


def test_a_folder_that_cannot_be_written_to_is_read(own):
    for folder in (own, *(path for path in own.rglob("*") if path.is_dir())):
        folder.chmod(0o555)
    before = sorted(own.rglob("*"))
    try:
        assert len(CloudFolder(own, points=16)) == 7
    finally:
        for folder in (own, *(path for path in own.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
    assert sorted(own.rglob("*")) == before


def test_a_folder_without_splits_is_parted_by_a_share_and_a_seed(tmp_path):
    for name in ("cup", "jug"):
        for i in range(10):
            write(tmp_path / name / f"{i}.off", "OFF\n" + TETRAHEDRON)

    def ids(split, seed=0):
        data = open_dataset("folder", tmp_path, split, 16, test_share=0.3, seed=seed)
        assert np.bincount(data.labels).tolist() == ([7, 7] if split == "train" else [3, 3])
        return data.ids

    assert sorted(ids("train") + ids("test")) == sorted(CloudFolder(tmp_path, "all", points=16).ids)
    assert ids("test") != ids("test", seed=1)
    with pytest.raises(InputError, match=r"data\.test_share=0\.2"):
        open_dataset("folder", tmp_path, "train")


def test_a_share_of_a_folder_with_splits_is_refused(own):
    with pytest.raises(InputError, match=r"has folders for train, test; data\.test_share is for"):
        open_dataset("folder", own, "train", test_share=0.2)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_class_that_is_named_as_a_split_is_told_to_be_renamed(tmp_path, share):
    for name in ("boat", "train"):
        for i in range(4):
            write(tmp_path / name / f"{i}.off", "OFF\n" + TETRAHEDRON)
    told = r"'train' is the name of a split but stands beside 'boat'; rename the folder"
    with pytest.raises(InputError, match=told):
        open_dataset("folder", tmp_path, "train", 16, test_share=share)
    with pytest.raises(InputError, match=told):
        stored_splits(refer(str(tmp_path)))
    with pytest.raises(InputError, match=told):
        mesh_jobs(refer(str(tmp_path)))
    (tmp_path / "train").rename(tmp_path / "trains")
    assert len(CloudFolder(tmp_path, "all", points=16)) == 8


def test_a_class_may_be_named_as_a_split_where_the_classes_have_split_folders(tmp_path):
    for name in ("boat", "train"):
        write(tmp_path / name / "test" / "1.off", "OFF\n" + TETRAHEDRON)
    assert CloudFolder(tmp_path, "test", points=16).classes == ("boat", "train")


def test_the_vertical_axis_is_the_formats_or_the_one_that_is_said(tmp_path):
    box = trimesh.creation.box((1, 2, 3))
    write(tmp_path / "box" / "a.glb", box.export(file_type="glb"))
    assert CloudFolder(tmp_path, "all", points=64).up == "y"
    write(tmp_path / "box" / "b.off", box.export(file_type="off"))
    assert CloudFolder(tmp_path, "all", points=64).up is None
    said = CloudFolder(tmp_path, "all", points=4096, up="z", normalization="none")
    assert said.up == "z"
    assert np.allclose(np.ptp(said.points[0], axis=0), (1, 3, 2), atol=0.02)  # turned from y
    assert np.allclose(np.ptp(said.points[1], axis=0), (1, 2, 3), atol=0.02)


def test_normals_are_read_by_name(tmp_path):
    write(tmp_path / "cup" / "a.off", "OFF\n" + TETRAHEDRON)
    names = ("x", "y", "z", "nx", "ny", "nz")
    data = CloudFolder(tmp_path, "all", points=32, channels=names)
    assert data.channels == names
    assert np.allclose(np.linalg.norm(data.points[..., 3:], axis=2), 1, atol=1e-5)


def test_a_bad_object_is_named_and_the_good_part_is_kept(own, own_cache):
    write(own / "boxes" / "train" / "z.off", "OFF\n3 0 0\n0 0 0\n0 0 0\n0 0 0\n")
    with pytest.raises(InputError, match=r"boxes/train/z\.off: all 3 points coincide"):
        CloudFolder(own, points=16)
    kept = list(own_cache.rglob("*.npy"))
    assert [p.name.split("-")[0] for p in kept] == ["balls"]
    (own / "boxes" / "train" / "z.off").unlink()
    assert len(CloudFolder(own, points=16)) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "valid"}, "train, val, test, all"),
        ({"normalization": "unit"}, "unit-sphere"),
        ({"points": 0}, "ask for 1 to"),
    ],
)
def test_unknown_settings_are_refused(own, options, message):
    with pytest.raises(InputError, match=message):
        CloudFolder(own, **options)


def test_empty_and_missing_folders_are_named(tmp_path):
    with pytest.raises(InputError, match="one for each class was expected"):
        CloudFolder(tmp_path)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        CloudFolder(tmp_path / "nowhere")
    (tmp_path / "cup" / "train").mkdir(parents=True)
    with pytest.raises(InputError, match="no object of split 'train'"):
        CloudFolder(tmp_path)


# --- ModelNet's meshes


@pytest.fixture
def modelnet(tmp_path):
    for i, name in enumerate(MODELNET40_CLASSES):
        head = "OFF" if i % 2 else "OFF\n"  # a third of the real files run into the counts
        for split, number in (("train", 1), ("test", 101)):
            write(tmp_path / name / split / f"{name}_{number:04d}.off", head + TETRAHEDRON)
    return tmp_path


def test_modelnet40_meshes_become_clouds_with_known_ids(modelnet):
    train = ModelNetMeshes(modelnet, "train", points=64)
    assert len(train) == 40
    assert train.classes == MODELNET40_CLASSES
    assert train.ids[8] == "chair/chair_0001"
    assert train.name == "modelnet40-meshes/train"
    assert np.allclose(np.linalg.norm(train.points, axis=2).max(axis=1), 1, atol=1e-5)


def test_modelnet10_reads_its_ten_folders_alone(modelnet):
    test = ModelNetMeshes(modelnet, "test", points=16, classes=10)
    assert test.classes == MODELNET10_CLASSES
    assert test.ids[2] == "chair/chair_0101"


def test_normals_and_even_spacing(modelnet):
    options = {"points": 64, "classes": 10, "normalization": "unit-box"}
    even = ModelNetMeshes(modelnet, "train", normals=True, sampling="even", **options)
    uniform = ModelNetMeshes(modelnet, "train", normals=True, **options)
    assert even.points.shape == (10, 64, 6)
    assert even.channels[3:] == ("nx", "ny", "nz")
    assert np.allclose(np.linalg.norm(even.points[..., 3:], axis=2), 1, atol=1e-5)

    def closest(cloud):
        distance = np.linalg.norm(cloud[:, None, :3] - cloud[None, :, :3], axis=2)
        return (distance + np.eye(len(cloud))).min()

    for a, b in zip(even.points, uniform.points, strict=True):
        assert closest(a) > 2 * closest(b)
    assert even.name == "modelnet10-meshes-even/train"


def test_a_missing_class_folder_is_named(modelnet):
    for split in ("train", "test"):
        for path in (modelnet / "piano" / split).iterdir():
            path.unlink()
        (modelnet / "piano" / split).rmdir()
    (modelnet / "piano").rmdir()
    with pytest.raises(InputError, match="piano: no such folder"):
        ModelNetMeshes(modelnet)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n", "no face with an area"),
        ("OFF\n" + TETRAHEDRON.replace("2 0 0", "nan 0 0"), "vertex 1 has NaN"),
        ("OFF\n3 1 0\n0 0 0\n0 0 0\n0 0 0\n3 0 1 2\n", "no face with an area"),
    ],
)
def test_broken_meshes_are_named(modelnet, content, message):
    write(modelnet / "chair" / "train" / "chair_0001.off", content)
    with pytest.raises(InputError, match=message) as caught:
        ModelNetMeshes(modelnet, points=16)
    assert str(caught.value).count("chair_0001.off") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"classes": 20}, "40, 10"), ({"sampling": "poisson"}, "uniform, even")],
)
def test_unknown_mesh_settings_are_refused(modelnet, options, message):
    with pytest.raises(InputError, match=message):
        ModelNetMeshes(modelnet, **options)
