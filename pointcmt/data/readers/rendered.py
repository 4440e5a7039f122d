"""Rendered pictures in RotationNet's layout: `<class>/<split>/<name>_001.png ... _020.png`."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointcmt.data.validate import require_folder
from pointcmt.errors import InputError
from pointcmt.fetch.mirrors import Archive, Mirror

VIEWS = 20
MAX_SIDE = 4096
PICTURE = re.compile(r"(.+)_(\d{3})\.png")


class RenderedViews:
    """The pictures of listed objects, read when they are asked for.

    Args:
        root: the folder with a folder for each class.
        split: the folder below each class folder, `train` or `test`.
        ids: the objects, as `chair/chair_0001`; `ModelNet40(...).ids` fits, where the HDF5 files
            came with their `_id2file.json`.
        views: pictures an object.

    Raises:
        InputError: a folder is missing, or an object lacks a picture; the message names both.
    """

    def __init__(
        self, root: Path | str, split: str, ids: Sequence[str], views: int = VIEWS
    ) -> None:
        self.root, self.split, self.ids, self.count = Path(root), split, list(ids), views
        found = {name: _pictures(self.root / name / split) for name in _classes(self.ids)}
        for one in self.ids:
            name, _, stem = one.partition("/")
            missing = sorted(set(range(1, views + 1)) - found[name].get(stem, set()))
            if missing:
                raise InputError(f"{self._path(one, missing[0])}: the view of {one} is missing")

    @classmethod
    def of_all(cls, root: Path | str, split: str, views: int = VIEWS) -> "RenderedViews":
        """Return the pictures of every object there is, in alphabetical order."""
        root = Path(root)
        require_folder(root, "a folder with a folder of pictures for each class")
        names = sorted(p.name for p in root.iterdir() if (p / split).is_dir())
        stems = {name: sorted(_pictures(root / name / split)) for name in names}
        ids = [f"{name}/{stem}" for name, found in stems.items() for stem in found]
        if not ids:
            raise InputError(f"{root}: has no <class>/{split}/<name>_001.png")
        return cls(root, split, ids, views)

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.ids)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return the pictures of one object, (V, H, W, 3).

        Raises:
            InputError: a picture is damaged, absurdly large, or of another size than the first.
        """
        pictures = []
        for number in range(1, self.count + 1):
            path = self._path(self.ids[index], number)
            pictures.append(_read(path))
            if pictures[-1].shape != pictures[0].shape:
                raise InputError(
                    f"{path}: {pictures[-1].shape[1]}x{pictures[-1].shape[0]} pixels, but the "
                    f"first view has {pictures[0].shape[1]}x{pictures[0].shape[0]}"
                )
        return np.stack(pictures)

    def subset(self, indices: ArrayLike) -> "RenderedViews":
        """Return the chosen objects' pictures, in the order of `indices`."""
        chosen = [self.ids[i] for i in np.asarray(indices, dtype=np.int64)]
        return RenderedViews(self.root, self.split, chosen, self.count)

    def _path(self, one: str, number: int) -> Path:
        name, _, stem = one.partition("/")
        return self.root / name / self.split / f"{stem}_{number:03d}.png"


def _classes(ids: Sequence[str]) -> list[str]:
    names = sorted({one.partition("/")[0] for one in ids})
    strange = [one for one in ids if one.count("/") != 1 or ".." in one]
    if strange:
        raise InputError(f"object id {strange[0]!r}: <class>/<name> was expected")
    return names


def _pictures(folder: Path) -> dict[str, set[int]]:
    require_folder(folder, "the pictures of that class and split")
    found: dict[str, set[int]] = {}
    for path in folder.iterdir():
        if match := PICTURE.fullmatch(path.name):
            found.setdefault(match[1], set()).add(int(match[2]))
    return found


def _read(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if max(picture.size) > MAX_SIDE:
                raise InputError(f"{path}: {picture.size} pixels; {MAX_SIDE} a side are allowed")
            return np.asarray(picture.convert("RGB"))
    except InputError:
        raise
    except Exception as error:  # the decoder raises anything on damaged bytes
        raise InputError(f"{path}: not a readable picture ({error})") from error


NAME = "modelnet40-views"
ABOUT = "ModelNet40, 20 rendered pictures of each mesh (PNG, RotationNet's)"
ARCHIVE = Archive(
    folder="modelnet40v2png_ori4",
    marker="*/train/*_001.png",
    page="https://github.com/kanezaki/pytorch-rotationnet",
    mirrors=(Mirror("https://data.airc.aist.go.jp/kanezaki.asako/data/modelnet40v2png_ori4.tar"),),
    gigabytes=None,
)
