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


def test_views_come_in_order_as_rgb(root):
    views = RenderedViews(root, "train", IDS)
    assert len(views) == 2
    assert views[0].shape == (20, 24, 32, 3)
    assert views[0].dtype == np.uint8
    assert views[0][:, 0, 0, 2].tolist() == list(range(41, 61))
    assert views[1][:, 0, 0, 0].tolist() == list(range(1, 21))


def test_all_objects_there_are(root):
    ids = RenderedViews.of_all(root, "train").ids
    assert ids == ["chair/chair_0001", "chair/chair_0002", "night_stand/night_stand_0005"]


def test_they_join_a_data_set_by_id(root):
    clouds = np.zeros((2, 4, 3), np.float32)
    dataset = CloudDataset("toy/train", ["chair", "night_stand"], clouds, [1, 0], IDS)
    pictured = dataset.with_views(RenderedViews(root, "train", dataset.ids))
    assert pictured[1].views[0, 0, 0, 0] == 1
    assert pictured.subset([1])[0].views[0, 0, 0, 0] == 1


def test_a_missing_view_names_its_object(root):
    (root / "chair" / "train" / "chair_0001_007.png").unlink()
    with pytest.raises(InputError, match=r"chair_0001_007\.png: the view of chair/chair_0001"):
        RenderedViews(root, "train", IDS)


def test_an_object_without_any_view_is_named(root):
    with pytest.raises(InputError, match="chair_0009_001"):
        RenderedViews(root, "train", ["chair/chair_0009"])


def test_fewer_views_may_be_asked_for(root):
    assert RenderedViews(root, "train", IDS, views=12)[0].shape[0] == 12


def test_missing_folders_are_named(root):
    with pytest.raises(InputError, match="chair/test: no such folder"):
        RenderedViews(root, "test", IDS)
    with pytest.raises(InputError, match="no such folder"):
        RenderedViews.of_all(root / "nowhere", "train")
    with pytest.raises(InputError, match="has no <class>/test"):
        RenderedViews.of_all(root, "test")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_damaged_picture_is_named(root, content):
    (root / "chair" / "train" / "chair_0001_003.png").write_bytes(content)
    with pytest.raises(InputError, match=r"chair_0001_003\.png: not a readable picture"):
        RenderedViews(root, "train", IDS)[1]


def test_a_truncated_picture_is_named(root):
    path = root / "chair" / "train" / "chair_0001_003.png"
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match=r"chair_0001_003\.png: not a readable picture"):
        RenderedViews(root, "train", IDS)[1]


def test_pictures_of_unequal_or_absurd_size_are_named(root):
    path = root / "chair" / "train" / "chair_0001_003.png"
    Image.new("L", (16, 16)).save(path)
    with pytest.raises(InputError, match=r"003\.png: 16x16 pixels, but the first view has 32x24"):
        RenderedViews(root, "train", IDS)[1]
    Image.new("1", (5000, 5000)).save(path)
    with pytest.raises(InputError, match="4096"):
        RenderedViews(root, "train", IDS)[1]


@pytest.mark.parametrize("strange", ["chair_0001", "../chair/x", "chair/../../x"])
def test_ids_that_leave_the_folder_are_refused(root, strange):
    with pytest.raises(InputError, match="object id"):
        RenderedViews(root, "train", [strange])
