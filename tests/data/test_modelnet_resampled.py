import numpy as np
import pytest

from pointcmt.data import MODELNET10_CLASSES, MODELNET40_CLASSES, ModelNetResampled
from pointcmt.errors import InputError
from pointcmt.geometry import normalize

NAMES = {
    "train": ["airplane_0001", "airplane_0002", "night_stand_0001"],
    "test": ["bathtub_0107", "night_stand_0201"],
}


def rows_of(name, points=10_000):
    rng = np.random.default_rng(sum(name.encode()))
    normals = rng.normal(size=(points, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return np.hstack([rng.uniform(-1, 1, (points, 3)), normals]).round(6)


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(",".join(f"{v:.6f}" for v in row) for row in rows) + "\n")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "modelnet40_normal_resampled"
    for split, names in NAMES.items():
        for name in names:
            write_rows(folder / name.rpartition("_")[0] / f"{name}.txt", rows_of(name))
        (folder / f"modelnet40_{split}.txt").write_text("\n".join(names) + "\n")
        ten = [n for n in names if n.rpartition("_")[0] in MODELNET10_CLASSES]
        (folder / f"modelnet10_{split}.txt").write_text("\n".join(ten) + "\n")
    (folder / "modelnet40_shape_names.txt").write_text("\n".join(MODELNET40_CLASSES) + "\n")
    (folder / "modelnet10_shape_names.txt").write_text("\n".join(MODELNET10_CLASSES) + "\n")
    return folder


@pytest.fixture
def broken(release, tmp_path):
    """A copy of the lists with one object that a test may spoil, and no cache."""
    for listing in release.glob("*.txt"):
        (tmp_path / listing.name).write_text(listing.read_text())
    (tmp_path / "modelnet40_train.txt").write_text("airplane_0001\n")
    target = tmp_path / "airplane" / "airplane_0001.txt"
    target.parent.mkdir()
    target.write_text((release / "airplane" / "airplane_0001.txt").read_text())
    return target


def test_the_first_points_are_taken_and_normalised(release):
    train = ModelNetResampled(release, "train")
    assert train.points.shape == (3, 1024, 3)
    assert train.ids == [
        "airplane/airplane_0001",
        "airplane/airplane_0002",
        "night_stand/night_stand_0001",
    ]
    assert train.labels.tolist() == [0, 0, MODELNET40_CLASSES.index("night_stand")]
    expected = normalize(rows_of("night_stand_0001")[:1024, :3], "unit-sphere")
    assert np.allclose(train.points[2], expected, atol=1e-6)
    assert train.name == "modelnet40-resampled/train"


def test_normals_are_kept_as_they_are(release):
    test = ModelNetResampled(release.parent, "test", points=2000, normals=True)
    assert test.points.shape == (2, 2000, 6)
    assert test.channels == ("x", "y", "z", "nx", "ny", "nz")
    assert np.allclose(test.points[0, :, 3:], rows_of("bathtub_0107")[:2000, 3:], atol=1e-6)


def test_modelnet10_is_the_same_folder_with_its_own_lists(release):
    train = ModelNetResampled(release, "train", classes=10)
    assert train.classes == MODELNET10_CLASSES
    assert train.ids == ["night_stand/night_stand_0001"]
    assert train.labels.tolist() == [MODELNET10_CLASSES.index("night_stand")]
    assert train.name == "modelnet10-resampled/train"


def test_the_text_is_parsed_only_once(release, tmp_path, monkeypatch):
    first = ModelNetResampled(release, "train", cache=tmp_path)
    monkeypatch.setattr("pointcmt.data.readers.modelnet_resampled.read_rows", None)
    again = ModelNetResampled(release, "train", points=500, cache=tmp_path)
    assert np.array_equal(again.ids, first.ids)
    assert again.points.shape == (3, 500, 3)


def test_a_short_row_names_file_and_line(broken):
    lines = broken.read_text().splitlines()
    lines[4999] = "0.1,0.2"
    broken.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"airplane_0001\.txt: line 5000: 2 values"):
        ModelNetResampled(broken.parents[1])


def test_a_truncated_file_is_named(broken):
    broken.write_text("".join(broken.read_text().splitlines(keepends=True)[:7000]))
    with pytest.raises(InputError, match=r"airplane_0001\.txt: 7000 lines of 6 values"):
        ModelNetResampled(broken.parents[1])


def test_nan_names_file_and_line(broken):
    lines = broken.read_text().splitlines()
    lines[41] = "nan,0,0,0,0,1"
    broken.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"airplane_0001\.txt, line 42: NaN"):
        ModelNetResampled(broken.parents[1])


def test_a_missing_object_list_or_folder_is_named(broken, tmp_path):
    broken.unlink()
    with pytest.raises(InputError, match=r"airplane_0001\.txt: cannot be read"):
        ModelNetResampled(tmp_path)
    (tmp_path / "modelnet40_train.txt").write_text("spaceship_0001\n")
    with pytest.raises(InputError, match="line 1: 'spaceship_0001' is of no known class"):
        ModelNetResampled(tmp_path)
    (tmp_path / "modelnet40_train.txt").write_text("\n")
    with pytest.raises(InputError, match="lists no objects"):
        ModelNetResampled(tmp_path)
    (tmp_path / "modelnet40_train.txt").unlink()
    with pytest.raises(InputError, match="lists the objects of the split"):
        ModelNetResampled(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        ModelNetResampled(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"points": 10_001}, "10000"), ({"classes": 12}, "40, 10"), ({"split": "val"}, "train, test")],
)
def test_unknown_settings_are_refused(release, options, message):
    with pytest.raises(InputError, match=message):
        ModelNetResampled(release, **options)
