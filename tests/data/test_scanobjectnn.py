import h5py
import numpy as np
import pytest

from pointcmt.data import SCANOBJECTNN_CLASSES, ScanObjectNN, ScanObjectNNColor
from pointcmt.data.readers.scanobjectnn_color import read_object
from pointcmt.errors import InputError
from pointcmt.geometry import normalize

FILES = {
    "OBJ_ONLY": "main_split_nobg/{}_objectdataset.h5",
    "OBJ_BG": "main_split/{}_objectdataset.h5",
    "PB_T50_RS": "main_split/{}_objectdataset_augmentedrot_scale75.h5",
}


def write_h5(path, labels, seed, mask=True, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    n = len(labels)
    with h5py.File(path, "w") as file:
        file["data"] = arrays.get("data", rng.normal(size=(n, 2048, 3)).astype(np.float32))
        file["label"] = np.asarray(labels, np.int32)
        if mask:
            file["mask"] = rng.choice([-1, 24], (n, 2048)).astype(np.int32)


@pytest.fixture
def root(tmp_path):
    for i, pattern in enumerate(FILES.values()):
        for j, split in enumerate(("training", "test")):
            path = tmp_path / "h5_files" / pattern.format(split)
            write_h5(path, [0, 14, i], 10 * i + j, mask="nobg" not in pattern)
    return tmp_path


@pytest.mark.parametrize("variant", FILES)
@pytest.mark.parametrize(("split", "stem"), [("train", "training"), ("test", "test")])
def test_each_variant_and_split_is_its_own_file(root, variant, split, stem):
    data = ScanObjectNN(root, split, variant)
    with h5py.File(root / "h5_files" / FILES[variant].format(stem)) as file:
        stored = file["data"][:, :1024]
    assert np.allclose(data.points, normalize(stored, "unit-sphere"), atol=1e-6)
    assert data.labels.tolist() == [0, 14, list(FILES).index(variant)]
    assert data.name == f"scanobjectnn-{variant.lower().replace('_', '-')}/{split}"
    assert len(set(data.ids)) == 3


def test_the_classes_are_in_the_authors_order():
    assert len(SCANOBJECTNN_CLASSES) == 15
    assert [SCANOBJECTNN_CLASSES[i] for i in (0, 4, 9, 10, 14)] == [
        "bag",
        "chair",
        "table",
        "bed",
        "toilet",
    ]


def test_masks_tell_object_from_background(root):
    data = ScanObjectNN(root, "train", "OBJ_BG", points=500)
    with h5py.File(root / "h5_files" / FILES["OBJ_BG"].format("training")) as file:
        assert np.array_equal(data.parts == 0, file["mask"][:, :500] == -1)
    assert ScanObjectNN(root, "train", "OBJ_ONLY").parts is None


def test_the_files_coordinates_may_be_kept(root):
    data = ScanObjectNN(root / "h5_files", "test", "OBJ_BG", 2048, normalization="none")
    with h5py.File(root / "h5_files" / FILES["OBJ_BG"].format("test")) as file:
        assert np.array_equal(data.points, file["data"])
    assert data.normalization == "none"


def test_bad_files_are_named(root):
    path = root / "h5_files" / FILES["PB_T50_RS"].format("training")
    write_h5(path, [0, 15], 0)
    with pytest.raises(InputError, match=r"scale75\.h5: cloud 1 has label 15; .* 0 to 14"):
        ScanObjectNN(root)
    data = np.zeros((2, 2048, 3), np.float32)
    data[1, 5, 2] = np.inf
    write_h5(path, [0, 1], 0, data=data)
    with pytest.raises(InputError, match="cloud 1 has values that are NaN"):
        ScanObjectNN(root)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError, match="truncated"):
        ScanObjectNN(root)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        ScanObjectNN(root)
    with pytest.raises(InputError, match="no such folder"):
        ScanObjectNN(root / "h5_files" / "main_split")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "PB_T25"}, "OBJ_ONLY, OBJ_BG, PB_T50_RS"),
        ({"split": "val"}, "train, test"),
        ({"points": 4096}, "ask for 1 to 2048"),
        ({"points": 0}, "ask for 1 to 2048"),
        ({"normalization": "unit"}, "unit-sphere"),
    ],
)
def test_unknown_settings_are_refused(root, options, message):
    with pytest.raises(InputError, match=message):
        ScanObjectNN(root, **options)


# --- raw objects with colour


def bin_bytes(semantic, seed=0, scale=255.0):
    """The `.bin` format: the count, then x y z nx ny nz r g b instance class, all float32."""
    rng = np.random.default_rng(seed)
    n = len(semantic)
    rows = np.hstack([rng.normal(size=(n, 6)), rng.uniform(0, scale, (n, 3)), np.zeros((n, 2))])
    rows[:, 10] = semantic
    rows[:, 9] = 7
    return np.concatenate([[n], rows.ravel()]).astype("<f4").tobytes(), rows.astype(np.float32)


@pytest.fixture
def raw_root(tmp_path):
    folder = tmp_path / "object_dataset"
    listed = [
        ("016_00005.bin", 13, ""),
        ("scene0000_00_00032.bin", 4, ""),
        ("206_00007.bin", 4, "\tt"),
    ]
    for i, (name, label, _) in enumerate(listed):
        semantic = np.repeat([0, 1, 2, 5, 9], [30, 300, 300, 120, 40])
        path = folder / SCANOBJECTNN_CLASSES[label] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bin_bytes(semantic, i)[0])
    lines = "".join(f"{name}\t{label}{mark}\n" for name, label, mark in listed)
    (folder / "split_new.txt").write_text(lines)
    return tmp_path


def test_colour_and_split_of_the_raw_objects(raw_root):
    train = ScanObjectNNColor(raw_root, "train", points=64)
    assert train.ids == ["chair/scene0000_00_00032", "sofa/016_00005"]
    assert train.labels.tolist() == [4, 13]
    assert train.points.shape == (2, 64, 6)
    assert train.channels == ("x", "y", "z", "r", "g", "b")
    assert train.points[..., 3:].min() >= 0
    assert 0.9 < train.points[..., 3:].max() <= 1
    assert np.allclose(np.linalg.norm(train.points[..., :3], axis=2).max(axis=1), 1, atol=1e-5)
    assert ScanObjectNNColor(raw_root, "test", points=64).ids == ["chair/206_00007"]
    assert train.name == "scanobjectnn-color/train"


def test_without_background_the_most_frequent_object_class_is_kept(tmp_path):
    semantic = np.repeat([0, 1, 2, 5, 9], [30, 300, 300, 120, 40])
    content, rows = bin_bytes(semantic, scale=1.0)
    (tmp_path / "a.bin").write_bytes(content)
    alone = read_object(tmp_path / "a.bin", background=False)
    assert np.array_equal(alone, rows[semantic == 5][:, [0, 1, 2, 6, 7, 8]])
    assert len(read_object(tmp_path / "a.bin")) == 790


def test_small_objects_repeat_points_to_reach_the_count(raw_root):
    assert ScanObjectNNColor(raw_root, "test", points=2048).points.shape == (1, 2048, 6)


def test_a_truncated_object_is_named(raw_root):
    path = raw_root / "object_dataset" / "sofa" / "016_00005.bin"
    content = bin_bytes(np.full(90, 5))[0]
    for size in (0, 2, 4, 44, 1000, len(content) - 44, len(content) - 4):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"016_00005\.bin"):
            ScanObjectNNColor(raw_root, "train")


def test_an_object_without_labelled_points_is_named(raw_root):
    path = raw_root / "object_dataset" / "sofa" / "016_00005.bin"
    path.write_bytes(bin_bytes(np.ones(90))[0])
    with pytest.raises(InputError, match=r"016_00005\.bin: no point is labelled as an object"):
        ScanObjectNNColor(raw_root, "train")
    assert len(ScanObjectNNColor(raw_root, "train", background=True)) == 2


@pytest.mark.parametrize(
    "line", ["../../x.bin\t4", "a.bin", "a.bin\t15", "a.bin\t-1", "a.bin\t4\tx", "a.txt\t4"]
)
def test_a_bad_line_of_the_split_is_named(raw_root, line):
    (raw_root / "object_dataset" / "split_new.txt").write_text(f"016_00005.bin\t13\n{line}\n")
    with pytest.raises(InputError, match=r"split_new\.txt, line 2"):
        ScanObjectNNColor(raw_root)


def test_a_missing_split_or_object_is_named(raw_root):
    (raw_root / "object_dataset" / "sofa" / "016_00005.bin").unlink()
    with pytest.raises(InputError, match=r"016_00005\.bin: cannot be read"):
        ScanObjectNNColor(raw_root)
    (raw_root / "object_dataset" / "split_new.txt").unlink()
    with pytest.raises(InputError, match=r"split_new\.txt: no such file"):
        ScanObjectNNColor(raw_root)
