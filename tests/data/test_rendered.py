import numpy as np
import pytest
from PIL import Image

from pointcmt.data import CloudDataset, RenderedViews
from pointcmt.errors import InputError


@pytest.fixture
def root(tmp_path):
    """Twenty grey pictures of two chairs and a night stand; view v of object o is 20 o + v."""
    for place, name in enumerate(("chair_0001", "chair_0002", "night_stand_0005")):
        folder = tmp_path / name.rpartition("_")[0] / "train"
        folder.mkdir(parents=True, exist_ok=True)
        for view in range(1, 21):
            picture = Image.new("L", (32, 24), 20 * place + view)
            picture.save(folder / f"{name}_{view:03d}.png")
    return tmp_path


IDS = ["night_stand/night_stand_0005", "chair/chair_0001"]
STEMS = ["night_stand/train/night_stand_0005", "chair/train/chair_0001"]


def test_views_come_in_order_as_rgb(root):
    views = RenderedViews(root, STEMS)
    assert len(views) == 2
    assert views[0].shape == (20, 24, 32, 3)
    assert views[0].dtype == np.uint8
    assert views[0][:, 0, 0, 2].tolist() == list(range(41, 61))
    assert views[1][:, 0, 0, 0].tolist() == list(range(1, 21))


def test_all_objects_there_are(root):
    stems = RenderedViews.of_all(root, "train").stems
    assert stems == [
        "chair/train/chair_0001",
        "chair/train/chair_0002",
        "night_stand/train/night_stand_0005",
    ]


def test_they_join_a_data_set_by_id(root):
    clouds = np.zeros((2, 4, 3), np.float32)
    dataset = CloudDataset("toy/train", ["chair", "night_stand"], clouds, [1, 0], IDS)
    pictured = dataset.with_views(RenderedViews.of(root, "train", dataset))
    assert pictured[1].views[0, 0, 0, 0] == 1
    assert pictured.subset([1])[0].views[0, 0, 0, 0] == 1


def test_a_missing_view_names_its_object(root):
    (root / "chair" / "train" / "chair_0001_007.png").unlink()
    with pytest.raises(InputError, match=r"_007\.png: this view of chair/train/chair_0001"):
        RenderedViews(root, STEMS)


def test_an_object_without_any_view_is_named(root):
    with pytest.raises(InputError, match="chair_0009_001"):
        RenderedViews(root, ["chair/train/chair_0009"])


def test_fewer_views_may_be_asked_for(root):
    assert RenderedViews(root, STEMS, views=12)[0].shape[0] == 12


def test_missing_folders_are_named(root):
    with pytest.raises(InputError, match="chair/test: no such folder"):
        RenderedViews(root, ["chair/test/chair_0001"])
    with pytest.raises(InputError, match="no such folder"):
        RenderedViews.of_all(root / "nowhere", "train")
    with pytest.raises(InputError, match="has no <class>/test"):
        RenderedViews.of_all(root, "test")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_damaged_picture_is_named(root, content):
    (root / "chair" / "train" / "chair_0001_003.png").write_bytes(content)
    with pytest.raises(InputError, match=r"chair_0001_003\.png: not a readable picture"):
        RenderedViews(root, STEMS)[1]


def test_a_truncated_picture_is_named(root):
    path = root / "chair" / "train" / "chair_0001_003.png"
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match=r"chair_0001_003\.png: not a readable picture"):
        RenderedViews(root, STEMS)[1]


def test_pictures_of_unequal_or_absurd_size_are_named(root):
    path = root / "chair" / "train" / "chair_0001_003.png"
    Image.new("L", (16, 16)).save(path)
    with pytest.raises(InputError, match=r"003\.png: 16x16 pixels, but the first view has 32x24"):
        RenderedViews(root, STEMS)[1]
    Image.new("1", (5000, 5000)).save(path)
    with pytest.raises(InputError, match="4096"):
        RenderedViews(root, STEMS)[1]


@pytest.mark.parametrize("strange", ["chair_0001", "../chair/x", "chair/../../x", "/chair/train"])
def test_ids_that_leave_the_folder_are_refused(root, strange):
    with pytest.raises(InputError, match="<class>/<split>/<name>"):
        RenderedViews(root, [strange])


def drawn(root, stem, count):
    for view in range(1, count + 1):
        path = root / f"{stem}_{view:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), view).save(path)


@pytest.mark.parametrize("count", [1, 6, 12])
def test_any_number_of_views_is_read_as_it_is_there(tmp_path, count):
    drawn(tmp_path, "cup/train/a", count)
    drawn(tmp_path, "cup/train/b", count)
    views = RenderedViews.of_all(tmp_path, "train")
    assert views[1].shape == (count, 8, 8, 3)
    assert views.subset([0]).count == count
    drawn(tmp_path, "cup/train/c", count + 1)
    with pytest.raises(InputError, match=rf"a_{count + 1:03d}.png: this view of cup/train/a is"):
        RenderedViews.of_all(tmp_path, "train")


@pytest.mark.parametrize(
    ("one", "stem"),
    [
        ("cup/train/a.obj", "cup/train/a"),
        ("train/cup/a.glb", "cup/train/a"),
        ("cup/a.off", "cup/all/a"),
        ("cup/train/mug/model.obj", "cup/train/mug-model"),
        ("ply_data_train0/3", "cup/train/ply_data_train0-3"),
        ("cup/cup_0001", "cup/train/cup_0001"),
    ],
)
def test_the_pictures_of_every_layout_are_found(tmp_path, one, stem):
    drawn(tmp_path, stem, 2)
    data = CloudDataset("x/train", ["cup"], np.zeros((1, 4, 3), np.float32), [0], [one])
    assert RenderedViews.of(tmp_path, "train", data).stems == [stem]
