import h5py
import numpy as np
import pytest

from pointcmt.data import MODELNET10_CLASSES, MODELNET40_CLASSES
from pointcmt.data.detect import detect
from pointcmt.errors import InputError

TRIANGLE = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"


def touch(path, content=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def class_folders(root, names):
    for name in names:
        for split in ("train", "test"):
            touch(root / name / split / f"{name}_0001.off", TRIANGLE)


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (["modelnet40_ply_hdf5_2048/x"], {"modelnet40-hdf5-2048": 2}),
        (["ply_data_train0.h5", "ply_data_test0.h5"], {"modelnet40-hdf5-2048": 2}),
        (["modelnet40_train.txt"], {"modelnet40-normal-resampled": 2}),
        (["modelnet40_normal_resampled/modelnet40_train.txt"], {"modelnet40-normal-resampled": 2}),
        (["ply_data_train0.h5", "ply_data_val0.h5"], {"shapenetpart-hdf5": 3}),
        (["hdf5_data/ply_data_val0.h5"], {"shapenetpart-hdf5": 3}),
        (["train_test_split/x.json"], {"shapenetpart-normal": 3}),
        (["split_new.txt"], {"scanobjectnn-raw-color": 2}),
        (["object_dataset/split_new.txt"], {"scanobjectnn-raw-color": 2}),
        (["main_split/test_objectdataset.h5"], {"scanobjectnn-obj_bg": 2}),
        (
            [
                "h5_files/main_split/test_objectdataset_augmentedrot_scale75.h5",
                "h5_files/main_split_nobg/test_objectdataset.h5",
            ],
            {"scanobjectnn-obj_only": 2, "scanobjectnn-pb_t50_rs": 2},
        ),
    ],
)
def test_releases_are_recognised_by_their_files(tmp_path, marks, expected):
    for mark in marks:
        touch(tmp_path / mark)
    assert {name: len(splits) for name, splits in detect(tmp_path).items()} == expected


@pytest.mark.parametrize("names", [MODELNET40_CLASSES, MODELNET10_CLASSES])
def test_modelnets_meshes_are_told_from_a_folder_of_ones_own(tmp_path, names):
    class_folders(tmp_path, names)
    assert list(detect(tmp_path)) == [f"modelnet{len(names)}-off"]
    class_folders(tmp_path, ["teapot"])
    assert list(detect(tmp_path)) == [tmp_path.name]


def test_what_is_found_can_be_opened(tmp_path):
    class_folders(tmp_path, ["cone", "cube"])
    ((_, openers),) = detect(tmp_path).items()
    train, test = (opener() for opener in openers)
    assert train.name.endswith("/train")
    assert test.classes == ("cone", "cube")


def test_a_folder_without_splits_is_opened_whole(tmp_path):
    touch(tmp_path / "cone" / "a.off", TRIANGLE)
    ((_, openers),) = detect(tmp_path).items()
    assert [opener().name for opener in openers] == [f"{tmp_path.name}/all"]


def test_scanobjectnn_opens_the_variant_that_was_found(tmp_path):
    for split in ("training", "test"):
        path = tmp_path / "main_split_nobg" / f"{split}_objectdataset.h5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            file["data"] = np.random.default_rng(0).normal(size=(2, 2048, 3))
            file["label"] = np.array([0, 1])
    ((_, openers),) = detect(tmp_path).items()
    assert [o().name for o in openers] == [
        "scanobjectnn-obj_only/train",
        "scanobjectnn-obj_only/test",
    ]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        detect(tmp_path / "nowhere")
