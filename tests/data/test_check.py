import json

import h5py
import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from pointcmt.data import CloudDataset, Shapes
from pointcmt.data.record import Stored, StoredObject, stored_arrays
from pointcmt.data.tools.check import check as check_stored
from pointcmt.data.tools.duplicates import cloud_hash
from pointcmt.data.tools.viewing import refer, stored_splits
from pointcmt.errors import InputError

RNG = np.random.default_rng(0)
CLOUDS = RNG.normal(size=(8, 20, 3)).astype(np.float32)


def dataset(points=CLOUDS, name="toy/train", labels=None, classes=("a", "b")):
    n = len(points)
    labels = np.arange(n) % 2 if labels is None else labels
    return CloudDataset(name, classes, points, labels, [f"{name}:{i}" for i in range(n)])


def check(datasets):
    return check_stored([stored_arrays(data) for data in datasets])


def cloud_hashes(clouds):
    return np.array([cloud_hash(cloud) for cloud in clouds], np.uint64)


# --- hashes


@given(st.permutations(range(20)))
def test_the_order_of_points_does_not_matter(order):
    assert np.array_equal(cloud_hashes(CLOUDS[:, order]), cloud_hashes(CLOUDS))


def test_any_changed_coordinate_matters():
    original = cloud_hashes(CLOUDS[:1])[0]
    seen = {original}
    for point in range(20):
        for axis in range(3):
            changed = CLOUDS[:1].copy()
            changed[0, point, axis] = np.nextafter(changed[0, point, axis], np.float32(9))
            seen.add(cloud_hashes(changed)[0])
    assert len(seen) == 61


def test_swapped_axes_and_repeated_points_are_told_apart():
    clouds = np.stack([CLOUDS[0], CLOUDS[0][:, [1, 0, 2]], np.roll(CLOUDS[0], 1, axis=1)])
    assert len(set(cloud_hashes(clouds))) == 3
    part = CLOUDS[:1, :10]
    assert cloud_hashes(np.repeat(part, 2, axis=1)) == cloud_hashes(part) != cloud_hashes(CLOUDS)[0]


def test_both_zeros_are_one_and_further_channels_are_passed_over():
    zero = np.zeros((1, 4, 3), np.float32)
    assert cloud_hashes(zero) == cloud_hashes(-zero)
    assert cloud_hashes(np.concatenate([CLOUDS, CLOUDS], axis=2)).tolist() == (
        cloud_hashes(CLOUDS).tolist()
    )


def test_many_clouds_are_told_apart():
    many = RNG.normal(size=(1000, 3, 3)).astype(np.float32)
    assert len(set(cloud_hashes(many))) == 1000


# --- the report


def test_sound_data_pass():
    report = check([Shapes("train", 2, 64), Shapes("test", 2, 64)])
    assert report.ok
    assert report.notes == ()
    assert report.splits[0].classes["chair"] == 2
    assert "shapes/train: 24 clouds of 64 points, 12 classes of 2 to 2 clouds" in str(report)
    assert str(report).endswith("ok")
    assert json.loads(json.dumps(report.as_dict()))["splits"][1]["clouds"] == 24


def test_a_cloud_in_both_splits_is_found_in_any_point_order():
    other = RNG.normal(size=(5, 20, 3)).astype(np.float32)
    other[3] = CLOUDS[6][RNG.permutation(20)]
    report = check([dataset(), dataset(other, "toy/test")])
    assert report.problems == ("toy/train: 1 clouds that also occur in toy/test (toy/train:6)",)
    assert not report.ok
    assert "1 problem(s)" in str(report)


def test_each_split_is_compared_with_every_other():
    other, last = RNG.normal(size=(2, 8, 20, 3)).astype(np.float32)
    last[1] = CLOUDS[2]
    report = check([dataset(), dataset(other, "toy/val"), dataset(last, "toy/test")])
    assert report.problems == ("toy/train: 1 clouds that also occur in toy/test (toy/train:2)",)


def test_a_cloud_that_occurs_twice_in_a_split_is_noted():
    twice = CLOUDS.copy()
    twice[5] = twice[2][::-1]
    report = check([dataset(twice)])
    assert report.ok
    assert "1 clouds that occurred before in the same split (toy/train:5)" in report.notes[0]


def test_values_are_checked():
    bad = CLOUDS.copy()
    bad[1, 3, 2] = np.nan
    bad[4, 0, 0] = np.inf
    bad[6, 19, 1], bad[7, 0, 0] = 1e30, -1e30
    assert check([dataset(bad)]).problems == (
        "toy/train: 2 clouds with NaN or infinite values (toy/train:1, toy/train:4)",
        "toy/train: 2 clouds with values beyond 1e+18 (toy/train:6, toy/train:7)",
    )


def test_empty_classes_and_flat_clouds_are_told():
    flat = CLOUDS.copy()
    flat[0] = 1
    flat[1, :, 2] = 0  # a plane has an extent
    report = check([dataset(flat, "toy/test", labels=np.zeros(8, int))])
    assert report.notes == (
        "toy/test: 1 clouds whose points all coincide (toy/test:0)",
        "toy/test: no cloud of b",
    )
    report = check([dataset(labels=np.zeros(8, int))])
    assert report.problems == ("toy/train: no object of b to train on",)
    report = check([dataset(labels=np.zeros(8, int), classes=("a",))])
    assert report.problems == ("toy/train: a is the only class; a classifier needs two",)


def test_a_point_that_changes_its_colour_alone_has_no_extent():
    points = np.concatenate([np.ones_like(CLOUDS[0]), CLOUDS[0]], axis=1)
    objects = [StoredObject("one", 0, lambda: points), *stored_arrays(dataset()).objects]
    report = check_stored([Stored("toy/train", ("a", "b"), objects)])
    assert report.notes == ("toy/train: 1 clouds whose points all coincide (one)",)


def test_the_fingerprint_of_a_split_tells_ids_labels_and_values():
    whole = dataset()
    objects = stored_arrays(whole).objects
    relabelled = [StoredObject(o.id, 1 - o.label, o.load) for o in objects]
    renamed = [StoredObject(f"{o.id}!", o.label, o.load) for o in objects]
    moved = stored_arrays(dataset(CLOUDS + np.float32(1e-6))).objects
    prints = {
        check_stored([Stored("toy/train", ("a", "b"), given)]).splits[0].fingerprint
        for given in (objects, relabelled, renamed, moved, list(objects))
    }
    assert len(prints) == 4


def test_unreadable_objects_are_told_one_by_one_and_the_rest_is_checked():
    def broken():
        raise InputError("x.off: is broken")

    whole = stored_arrays(dataset())
    objects = [StoredObject("x", 0, broken), *whole.objects, *[StoredObject("y", 1, broken)] * 30]
    report = check_stored([Stored("toy/train", ("a", "b"), objects)])
    assert report.problems[0] == "x.off: is broken"
    assert report.problems[-1] == "toy/train: 11 more objects cannot be read"
    assert report.splits[0].clouds == 8


def test_all_stored_points_of_a_release_are_read(tmp_path):
    clouds = RNG.normal(size=(2, 2048, 3)).astype(np.float32)
    clouds[1, 1500, 0] = np.nan
    for split in ("train", "test"):
        with h5py.File(tmp_path / f"ply_data_{split}0.h5", "w") as file:
            file["data"], file["label"] = clouds, np.array([0, 1])
    with pytest.raises(InputError, match="cloud 1 has values that are NaN"):
        stored_splits(refer(str(tmp_path)))


def test_a_folder_of_ones_own_is_read_whole_and_left_as_it_was(tmp_path):
    mesh = trimesh.creation.icosphere(1)
    for name, split in (("a", "train"), ("a", "test"), ("b", "train")):
        folder = tmp_path / name / split
        folder.mkdir(parents=True)
        np.save(folder / "cloud.npy", RNG.normal(size=(3000, 3)))
    mesh.export(tmp_path / "a/train/ball.off")
    mesh.export(tmp_path / "a/test/other_name.stl")
    (tmp_path / "b/train/notes.txt").write_text("a stray file")
    (tmp_path / "a/train/z.off").write_text("OFF")
    before = sorted(tmp_path.rglob("*"))
    report = check_stored(stored_splits(refer(str(tmp_path))))
    assert sorted(tmp_path.rglob("*")) == before
    assert len(report.problems) == 3
    assert [name for name in ("z.off", "notes.txt", "a/train/ball.off") if name in str(report)]
    assert "also occur in" in report.problems[-1]
    assert report.splits[0].points == (42, 3000)
    assert f"{tmp_path.name}/test: no cloud of b" in report.notes


def test_unofficial_counts_are_noted():
    report = check([dataset(name="modelnet40/test")])
    assert "8 clouds, the official release has 2468" in report.notes[0]


def test_splits_with_different_classes_are_a_problem():
    report = check([dataset(), dataset(-CLOUDS, "toy/test", classes=("b", "a"))])
    assert report.problems == ("toy/train, toy/test have different class names",)


def test_long_lists_are_cut():
    bad = np.full((40, 4, 3), np.nan, np.float32)
    assert "and 35 more" in check([dataset(bad)]).problems[0]


def test_nothing_to_check_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        check_stored([])


def test_the_real_data_pass(modelnet40_root):
    from pointcmt.data import ModelNet40

    report = check([ModelNet40(modelnet40_root, split, None) for split in ("train", "test")])
    assert report.ok, report
    assert [s.clouds for s in report.splits] == [9843, 2468]


def test_two_objects_whose_pictures_have_one_name_are_a_problem(tmp_path):
    for i, name in enumerate(("mug/train/o1.obj", "mug/train/o1.off", "cup/train/o1.off")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        trimesh.creation.box((1, 2, 3 + i)).export(path)
    report = check_stored(stored_splits(refer(str(tmp_path))))
    assert len(report.problems) == 1
    assert "1 objects whose pictures need the name of another's" in report.problems[0]
    assert "(mug/train/o1.off as mug/train/o1.obj; rename one)" in report.problems[0]
