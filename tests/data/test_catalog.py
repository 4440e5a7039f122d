"""The catalogue: recognition by files, references of commands, and a set added by two files."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from pointcmt.data import (
    CATALOG,
    MODELNET10_CLASSES,
    MODELNET40_CLASSES,
    catalog,
    open_dataset,
    parse_reference,
)
from pointcmt.data.catalog import recognise
from pointcmt.data.tools.viewing import openers, refer
from pointcmt.errors import InputError

TRIANGLE = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"


def touch(path, content=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def class_folders(root, names):
    for name in names:
        for split in ("train", "test"):
            touch(root / name / split / f"{name}_0001.off", TRIANGLE)


def found(root):
    return [data.name for data in recognise(root)]


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (["modelnet40_ply_hdf5_2048/x"], ["modelnet40"]),
        (["ply_data_train0.h5", "ply_data_test0.h5"], ["modelnet40"]),
        (["modelnet40_train.txt", "modelnet10_train.txt"], ["modelnet40-resampled"]),
        (["modelnet40_normal_resampled/modelnet40_train.txt"], ["modelnet40-resampled"]),
        (["modelnet10_train.txt"], ["modelnet10-resampled"]),
        (["ply_data_train0.h5", "ply_data_val0.h5"], ["shapenetpart-hdf5"]),
        (["hdf5_data/ply_data_val0.h5"], ["shapenetpart-hdf5"]),
        (["train_test_split/x.json"], ["shapenetpart"]),
        (["split_new.txt"], ["scanobjectnn-color"]),
        (["object_dataset/split_new.txt"], ["scanobjectnn-color"]),
        (["main_split/test_objectdataset.h5"], ["scanobjectnn-obj-bg"]),
        (
            [
                "h5_files/main_split/test_objectdataset_augmentedrot_scale75.h5",
                "h5_files/main_split_nobg/test_objectdataset.h5",
            ],
            ["scanobjectnn-obj-only", "scanobjectnn-pb-t50-rs"],
        ),
    ],
)
def test_releases_are_recognised_by_their_files(tmp_path, marks, expected):
    for mark in marks:
        touch(tmp_path / mark)
    assert found(tmp_path) == expected


@pytest.mark.parametrize("names", [MODELNET40_CLASSES, MODELNET10_CLASSES])
def test_modelnets_meshes_are_told_from_a_folder_of_ones_own(tmp_path, names):
    class_folders(tmp_path, names)
    assert found(tmp_path) == [f"modelnet{len(names)}-meshes"]
    class_folders(tmp_path, ["teapot"])
    assert found(tmp_path) == ["folder"]


def test_what_is_recognised_can_be_opened(tmp_path):
    class_folders(tmp_path, ["cone", "cube"])
    train, test = (opener() for opener in openers(refer(str(tmp_path))))
    assert train.name == f"{tmp_path.name}/train"
    assert test.classes == ("cone", "cube")


def test_a_folder_without_splits_is_opened_whole(tmp_path):
    touch(tmp_path / "cone" / "a.off", TRIANGLE)
    assert [opener().name for opener in openers(refer(str(tmp_path)))] == [f"{tmp_path.name}/all"]


def test_a_missing_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        recognise(tmp_path / "nowhere")
    with pytest.raises(InputError, match="one for each class was expected"):
        recognise(tmp_path)


def test_each_variant_reads_its_own_file_under_its_own_name(tmp_path):
    for folder, size in (("main_split_nobg", 2), ("main_split", 3)):
        path = tmp_path / folder / "training_objectdataset.h5"
        path.parent.mkdir()
        with h5py.File(path, "w") as file:
            file["data"] = np.random.default_rng(0).normal(size=(size, 2048, 3))
            file["label"] = np.arange(size)
    for name, size in (("scanobjectnn-obj-only", 2), ("scanobjectnn-obj-bg", 3)):
        data = open_dataset(name, tmp_path, "train", points=64)
        assert (data.name, len(data)) == (f"{name}/train", size)
        assert (data.channels, data.up) == (CATALOG[name].channels, CATALOG[name].up)


def test_references():
    shapes = parse_reference("shapes:3")
    assert (shapes.data.name, shapes.per_class) == ("shapes", 3)
    assert parse_reference("shapes").per_class is None
    assert parse_reference("modelnet40:C:/data").root == Path("C:/data")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modelnet41:x", "unknown data set 'modelnet41': use one of shapes, modelnet40, "),
        ("modelnet40", "add the folder of the data set, modelnet40:FOLDER"),
        ("shapes:few", "use shapes, or shapes:PER_CLASS"),
    ],
)
def test_a_reference_that_cannot_be_is_answered(text, words):
    with pytest.raises(InputError, match=words):
        parse_reference(text)


def test_an_unknown_split_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="use one of train, val, test, trainval"):
        open_dataset("shapenetpart", "x", "validation")


def test_a_record_alone_adds_a_data_set_to_every_command(tmp_path, monkeypatch):
    """Recipes, `--data` and `pointcmt-data` know a record without another line."""
    own = dataclasses.replace(
        CATALOG["modelnet40"], name="own-set", recognise=lambda root: (root / "own.mark").exists()
    )
    monkeypatch.setattr(catalog, "CATALOG", {own.name: own, **CATALOG})
    touch(tmp_path / "own.mark")
    assert found(tmp_path) == ["own-set"]
    assert parse_reference(f"own-set:{tmp_path}").data is own
    with pytest.raises(InputError, match="has no ply_data_train"):
        open_dataset("own-set", tmp_path, "train")
