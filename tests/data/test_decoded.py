"""Decoded pictures that are kept: the same to the bit, and never those of other files."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pointcmt.data import DecodedViews, RenderedViews
from pointcmt.data.readers import rendered
from pointcmt.errors import InputError

STEMS = ["cup/train/cup", "cup/train/cup_1"]


def draw(root: Path, stem: str, seed: int, time: int = 1) -> None:
    random = np.random.default_rng(seed)
    for view in (1, 2):
        path = root / f"{stem}_{view:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (6, 9, 3), np.uint8)
        Image.fromarray(pixels).save(path, compress_level=0)  # each file is as long as the other
        os.utime(path, ns=(time, time))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, stem in enumerate(STEMS):
        draw(tmp_path / "views", stem, seed)
    return tmp_path / "views"


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded."""
    names: list[str] = []
    read: Callable[[Path], np.ndarray] = rendered._read

    def noting(path: Path) -> np.ndarray:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(rendered, "_read", noting)
    return names


def views(root: Path) -> DecodedViews:
    return DecodedViews(RenderedViews(root, STEMS), root.parent / "cache")


def kept(root: Path) -> list[Path]:
    return sorted((root.parent / "cache").rglob("*.npy"))


def test_pictures_are_decoded_once_and_stay_the_same_to_the_bit(
    root: Path, decodings: list[str]
) -> None:
    plain = [RenderedViews(root, STEMS)[index] for index in (0, 1)]
    decodings.clear()
    assert not views(root).decoded(1)
    for again in range(3):
        found = views(root)
        assert len(found) == 2
        for index in (1, 0):
            np.testing.assert_array_equal(found[index], plain[index])
            assert found.decoded(index)
        assert len(decodings) == 4, f"reading {again}"
    np.testing.assert_array_equal(views(root).subset([1])[0], plain[1])
    assert len(decodings) == 4
    assert len(kept(root)) == 2


@pytest.mark.parametrize("change", ["pixels", "time"])
def test_a_changed_picture_is_decoded_anew_and_the_old_one_removed(
    root: Path, change: str, decodings: list[str]
) -> None:
    before = [np.array(views(root)[index]) for index in (0, 1)]
    decodings.clear()
    draw(root, STEMS[0], 7 if change == "pixels" else 0, time=2)
    found = views(root)
    assert not found.decoded(0)
    assert np.array_equal(found[0], before[0]) == (change == "time")
    np.testing.assert_array_equal(found[1], before[1])
    assert decodings == ["cup_001.png", "cup_002.png"]
    assert len(kept(root)) == 2


@pytest.mark.parametrize("damage", ["empty", "header", "pixels", "other"])
def test_a_damaged_file_is_written_anew(root: Path, damage: str, decodings: list[str]) -> None:
    whole = np.array(views(root)[0])
    path = kept(root)[0]
    if damage == "other":
        np.save(path, np.zeros(3))
    else:
        path.write_bytes(path.read_bytes()[: {"empty": 0, "header": 40, "pixels": -1}[damage]])
    decodings.clear()
    for _ in range(2):
        np.testing.assert_array_equal(views(root)[0], whole)
    assert len(decodings) == 2


def test_where_nothing_can_be_kept_pictures_are_decoded_each_time(
    root: Path, decodings: list[str]
) -> None:
    (root.parent / "cache").write_text("a file where the folder would be")
    for _ in range(2):
        np.testing.assert_array_equal(views(root)[1], RenderedViews(root, STEMS)[1])
    assert decodings.count("cup_1_001.png") == 4


def test_a_damaged_picture_is_named_and_not_kept(root: Path) -> None:
    (root / "cup" / "train" / "cup_002.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"cup_002\.png: not a readable picture"):
        views(root)[0]
    assert kept(root) == []
