import json

import h5py
import numpy as np
import pytest

from pointcmt.data import (
    SHAPENETPART_CLASSES,
    SHAPENETPART_PARTS,
    ShapeNetPart,
    ShapeNetPartHDF5,
)
from pointcmt.data.readers.shapenetpart import SHAPENETPART_SYNSETS
from pointcmt.errors import InputError
from pointcmt.geometry import normalize

OBJECTS = {
    "train": [("Airplane", "1a04"), ("Table", "ff01"), ("Airplane", "0b02")],
    "val": [("Mug", "77aa")],
    "test": [("Chair", "9c1f")],
}


def rows_of(name, stem, points=700):
    rng = np.random.default_rng(sum(stem.encode()))
    parts = rng.choice(SHAPENETPART_PARTS[name], points)
    return np.hstack([rng.normal(size=(points, 6)), parts[:, None]]).round(6)


def text_path(root, name, stem):
    return root / SHAPENETPART_SYNSETS[name] / f"{stem}.txt"


def write_text(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(" ".join(f"{v:.6f}" for v in row) + "\n" for row in rows))


@pytest.fixture
def release(tmp_path):
    (tmp_path / "train_test_split").mkdir()
    for split, objects in OBJECTS.items():
        listed = [f"shape_data/{SHAPENETPART_SYNSETS[name]}/{stem}" for name, stem in objects]
        path = tmp_path / "train_test_split" / f"shuffled_{split}_file_list.json"
        path.write_text(json.dumps(listed))
        for name, stem in objects:
            write_text(text_path(tmp_path, name, stem), rows_of(name, stem))
    return tmp_path


def test_there_are_16_categories_and_50_parts():
    assert len(SHAPENETPART_CLASSES) == 16
    assert sum(SHAPENETPART_PARTS.values(), ()) == tuple(range(50))
    assert SHAPENETPART_PARTS["Airplane"] == (0, 1, 2, 3)
    assert SHAPENETPART_PARTS["Earphone"] == (16, 17, 18)
    assert SHAPENETPART_PARTS["Motorbike"] == (30, 31, 32, 33, 34, 35)
    assert SHAPENETPART_PARTS["Table"] == (47, 48, 49)


# --- text


def test_objects_are_read_by_category_with_their_parts(release):
    train = ShapeNetPart(release, "train", points=700, normals=True)
    assert train.ids == ["02691156/0b02", "02691156/1a04", "04379243/ff01"]
    assert train.labels.tolist() == [0, 0, 15]
    rows = rows_of("Table", "ff01")
    assert np.allclose(train.points[2, :, :3], normalize(rows[:, :3], "unit-sphere"), atol=1e-6)
    assert np.allclose(train.points[2, :, 3:], rows[:, 3:6], atol=1e-6)
    assert np.array_equal(train.parts[2], rows[:, 6])
    assert train.name == "shapenetpart/train"


def test_resampling_keeps_points_and_parts_together(release):
    whole = ShapeNetPart(release, "test", points=700, normals=True)
    fewer = ShapeNetPart(release, "test", points=100, normals=True)
    more = ShapeNetPart(release, "test", points=1500)
    assert more.points.shape == (1, 1500, 3)
    part_of = {tuple(n): p for n, p in zip(whole.points[0, :, 3:], whole.parts[0], strict=True)}
    for normal, part in zip(fewer.points[0, :, 3:], fewer.parts[0], strict=True):
        assert part_of[tuple(normal)] == part


def test_trainval_joins_train_and_val(release):
    joined = ShapeNetPart(release, "trainval", points=64)
    assert joined.ids == ["02691156/0b02", "02691156/1a04", "03797390/77aa", "04379243/ff01"]
    assert len(ShapeNetPart(release, "val", points=64)) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0 0 0 0 1", "line 6: 6 values"),
        ("0 0 0 0 0 1 50", "part label 50"),
        ("0 0 0 0 0 1 -1", "part label -1"),
        ("0 0 0 0 0 1 0.5", "part label 0.5"),
        ("nan 0 0 0 0 1 0", "line 6: NaN"),
        ("x 0 0 0 0 1 0", "line 6: not all values are numbers"),
    ],
)
def test_a_bad_line_is_named(release, line, message):
    path = text_path(release, "Chair", "9c1f")
    lines = path.read_text().splitlines()
    lines[5] = line
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=message) as caught:
        ShapeNetPart(release, "test")
    assert "9c1f.txt" in str(caught.value)


def test_text_without_parts_is_refused(release):
    write_text(text_path(release, "Chair", "9c1f"), rows_of("Chair", "9c1f")[:, :6])
    with pytest.raises(InputError, match="6 values a line; x y z nx ny nz part was expected"):
        ShapeNetPart(release, "test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a readable JSON"),
        ("{}", "a list of objects"),
        ("[]", "a list of objects"),
        ('["03001627/9c1f"]', "shape_data/<synset>/<id>"),
        ('["shape_data/../secret"]', "shape_data/<synset>/<id>"),
        ('["shape_data/99999999/9c1f"]', "no known category"),
        ('["shape_data/03001627/gone"]', r"gone\.txt: cannot be read"),
    ],
)
def test_a_bad_split_list_is_named(release, content, message):
    (release / "train_test_split" / "shuffled_test_file_list.json").write_text(content)
    with pytest.raises(InputError, match=message):
        ShapeNetPart(release, "test")


def test_missing_folders_and_unknown_splits_are_named(release, tmp_path):
    with pytest.raises(InputError, match="train, val, trainval, test"):
        ShapeNetPart(release, "all")
    with pytest.raises(InputError, match="no such folder"):
        ShapeNetPart(tmp_path / "nowhere")


# --- HDF5


def write_h5(path, labels, **arrays):
    rng = np.random.default_rng(len(labels))
    n = len(labels)
    parts = [rng.choice(list(SHAPENETPART_PARTS.values())[k % 16], 2048) for k in labels]
    with h5py.File(path, "w") as file:
        file["data"] = rng.normal(size=(n, 2048, 3)).astype(np.float32)
        file["label"] = np.asarray(labels, np.uint8)[:, None]
        file["pid"] = arrays.get("pid", np.asarray(parts, np.uint8))


@pytest.fixture
def hdf5(tmp_path):
    folder = tmp_path / "hdf5_data"
    folder.mkdir()
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        names = [f"ply_data_{split}{i}.h5" for i in range(count)]
        (folder / f"{split}_hdf5_file_list.txt").write_text("\n".join(names) + "\n")
        for i, name in enumerate(names):
            write_h5(folder / name, [i, 15, 3])
    return folder


def test_hdf5_files_of_a_split_are_joined(hdf5):
    train = ShapeNetPartHDF5(hdf5.parent, "trainval")
    assert train.labels.tolist() == [0, 15, 3, 1, 15, 3, 0, 15, 3]
    assert train.parts.shape == train.points.shape[:2] == (9, 2048)
    with h5py.File(hdf5 / "ply_data_train1.h5") as file:
        assert np.array_equal(train.points[3:6], file["data"])
        assert np.array_equal(train.parts[3:6], file["pid"])
    for label, parts in zip(train.labels, train.parts, strict=True):
        assert set(parts) <= set(SHAPENETPART_PARTS[train.classes[label]])
    assert ShapeNetPartHDF5(hdf5, "test", points=1024).parts.shape == (3, 1024)


def test_hdf5_files_are_found_without_lists(hdf5):
    for path in hdf5.glob("*.txt"):
        path.unlink()
    assert len(ShapeNetPartHDF5(hdf5, "train")) == 6


def test_bad_hdf5_files_are_named(hdf5):
    path = hdf5 / "ply_data_test0.h5"
    write_h5(path, [16])
    with pytest.raises(InputError, match=r"ply_data_test0\.h5: cloud 0 has label 16"):
        ShapeNetPartHDF5(hdf5, "test")
    write_h5(path, [1], pid=np.full((1, 2048), 50))
    with pytest.raises(InputError, match="part label 50"):
        ShapeNetPartHDF5(hdf5, "test")
    write_h5(path, [1], pid=np.zeros((1, 7), int))
    with pytest.raises(InputError, match=r"`pid` is \(1, 7\)"):
        ShapeNetPartHDF5(hdf5, "test")
    with h5py.File(path, "a") as file:
        del file["pid"]
    with pytest.raises(InputError, match="no array `pid`"):
        ShapeNetPartHDF5(hdf5, "test")
    path.unlink()
    with pytest.raises(InputError, match=r"ply_data_test0\.h5: no such file"):
        ShapeNetPartHDF5(hdf5, "test")
