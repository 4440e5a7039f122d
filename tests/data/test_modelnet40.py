import fcntl
import json

import h5py
import numpy as np
import pytest

from pointcmt.data import MODELNET40_CLASSES, ModelNet40
from pointcmt.errors import InputError

FOLDER = "modelnet40_ply_hdf5_2048"


def write_part(folder, name, labels, points=2048, data=None):
    rng = np.random.default_rng(len(labels))
    clouds = rng.uniform(-1, 1, (len(labels), points, 3)) if data is None else data
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file.create_dataset("data", data=clouds.astype(np.float32), compression="gzip")
        file.create_dataset("label", data=np.asarray(labels, np.uint8)[:, None])
        file.create_dataset("normal", data=clouds.astype(np.float32))
    return clouds.astype(np.float32)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "shape_names.txt").write_text("\n".join(MODELNET40_CLASSES) + "\n")
    for split, parts in (("train", 2), ("test", 1)):
        names = [f"ply_data_{split}{i}" for i in range(parts)]
        listing = "".join(f"data/{FOLDER}/{name}.h5\n" for name in names)
        (folder / f"{split}_files.txt").write_text(listing)
        for i, name in enumerate(names):
            write_part(folder, name, [i, 7, 39])
            ids = [f"{c}/{c}_{i:04d}.ply" for c in ("airplane", "car", "xbox")]
            (folder / f"ply_data_{split}_{i}_id2file.json").write_text(json.dumps(ids))
    return tmp_path


def test_reads_the_official_layout(root):
    train = ModelNet40(root, "train")
    with h5py.File(root / FOLDER / "ply_data_train1.h5") as file:
        assert np.array_equal(train.points[3:], file["data"][:, :1024])
    assert train.points.shape == (6, 1024, 3)
    assert train.points.dtype == np.float32
    assert train.labels.tolist() == [0, 7, 39, 1, 7, 39]
    assert train.labels.dtype == np.int64
    assert train.ids[:2] == ["airplane/airplane_0000", "car/car_0000"]
    assert train.name == "modelnet40/train"
    assert train.classes[0] == "airplane"
    assert len(train.classes) == 40
    assert len(ModelNet40(root / FOLDER, "test", points=2048)) == 3


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_file_is_of_one_split(root, split):
    (root / FOLDER / "test_files.txt").write_text(
        "ply_data_test0.h5\nelsewhere/ply_data_train1.h5\n"
    )
    with pytest.raises(InputError, match=r"ply_data_train1\.h5 stands in train_files\.txt and in"):
        ModelNet40(root, split)


def test_a_sample_joins_cloud_label_and_id(root):
    sample = ModelNet40(root, "test")[1]
    assert sample.points.shape == (1024, 3)
    assert (sample.label, sample.id) == (7, "car/car_0000")


def test_the_order_of_the_list_counts(root):
    listing = root / FOLDER / "train_files.txt"
    listing.write_text("".join(reversed(listing.read_text().splitlines(keepends=True))))
    assert ModelNet40(root, "train").labels.tolist() == [1, 7, 39, 0, 7, 39]


def test_without_lists_all_files_are_read_and_ids_are_numbered(root):
    for path in [*(root / FOLDER).glob("*.txt"), *(root / FOLDER).glob("*.json")]:
        path.unlink()
    assert ModelNet40(root, "train").ids[3] == "ply_data_train1/0"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        ModelNet40(tmp_path / "nowhere")


def test_an_empty_folder_says_what_belongs_there(tmp_path):
    with pytest.raises(InputError, match=r"no ply_data_train\*\.h5"):
        ModelNet40(tmp_path)


def test_a_listed_file_that_is_missing_is_named(root):
    (root / FOLDER / "ply_data_train1.h5").unlink()
    with pytest.raises(InputError, match=r"ply_data_train1\.h5: no such file"):
        ModelNet40(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04 something else", "not an HDF5 file"),
        (b"", "not an HDF5 file"),
    ],
)
def test_a_file_that_is_not_hdf5_is_named(root, content, message):
    (root / FOLDER / "ply_data_train0.h5").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        ModelNet40(root)
    assert "ply_data_train0.h5" in str(caught.value)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_named(root, share):
    path = root / FOLDER / "ply_data_train0.h5"
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(InputError, match=r"ply_data_train0\.h5: the HDF5 file is truncated"):
        ModelNet40(root)


def test_a_file_that_another_program_writes_is_not_called_damaged(root):
    path = root / FOLDER / "ply_data_train1.h5"
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as HDF5 does for a writer
        with pytest.raises(InputError, match="has it open for writing") as caught:
            ModelNet40(root)
    assert "damaged" not in str(caught.value)
    assert len(ModelNet40(root)) == 6


def test_nan_names_file_and_cloud(root):
    data = np.zeros((3, 2048, 3))
    data[2, 1000] = np.nan
    write_part(root / FOLDER, "ply_data_train1", [0, 1, 2], data=data)
    with pytest.raises(InputError, match=r"ply_data_train1\.h5: cloud 2 has values that are NaN"):
        ModelNet40(root)


def test_a_label_out_of_range_names_file_and_cloud(root):
    write_part(root / FOLDER, "ply_data_train1", [0, 40, 2])
    with pytest.raises(InputError, match=r"ply_data_train1\.h5: cloud 1 has label 40; .* 0 to 39"):
        ModelNet40(root)


@pytest.mark.parametrize("points", [0, -5, 2049, 10**9])
def test_more_points_than_stored_are_refused(root, points):
    with pytest.raises(InputError, match="ask for 1 to 2048"):
        ModelNet40(root, points=points)


def test_missing_arrays_and_unequal_lengths_are_named(root):
    path = root / FOLDER / "ply_data_train0.h5"
    with h5py.File(path, "w") as file:
        file["points"] = np.zeros((3, 10, 3))
    with pytest.raises(InputError, match="no array `data`, `label`"):
        ModelNet40(root)
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = np.zeros((3, 10, 3)), np.zeros(2, int)
    with pytest.raises(InputError, match="different lengths"):
        ModelNet40(root, points=10)


@pytest.mark.parametrize("shape", [(3, 10), (3, 10, 2), (3, 10, 6), (0, 10, 3), (3, 0, 3)])
def test_a_wrong_shape_is_named(root, shape):
    with h5py.File(root / FOLDER / "ply_data_train0.h5", "w") as file:
        file["data"], file["label"] = np.zeros(shape), np.zeros(shape[0], int)
    with pytest.raises(InputError, match=r"ply_data_train0\.h5: `data` is"):
        ModelNet40(root, points=10)


def test_an_unknown_split_names_the_known_ones(root):
    with pytest.raises(InputError, match="train, test"):
        ModelNet40(root, "val")


def test_ids_that_do_not_match_the_clouds_are_refused(root):
    (root / FOLDER / "ply_data_train_0_id2file.json").write_text('["a/b.ply"]')
    with pytest.raises(InputError, match=r"names 1 objects, but ply_data_train0\.h5 holds 3"):
        ModelNet40(root)


def test_another_class_order_is_refused(root):
    (root / FOLDER / "shape_names.txt").write_text("xbox\nairplane\n")
    with pytest.raises(InputError, match=r"shape_names\.txt"):
        ModelNet40(root)


def test_the_real_data(modelnet40_root):
    train, test = ModelNet40(modelnet40_root, "train"), ModelNet40(modelnet40_root, "test")
    assert (len(train), len(test)) == (9843, 2468)
    assert np.bincount(train.labels)[[0, 8, 39]].tolist() == [626, 889, 103]
    assert all(i.startswith(train.classes[k]) for i, k in zip(train.ids, train.labels, strict=True))
    assert not set(train.ids) & set(test.ids)
    radius = np.linalg.norm(test.points, axis=2).max(axis=1)
    assert np.allclose(radius, 1, atol=0.01)
