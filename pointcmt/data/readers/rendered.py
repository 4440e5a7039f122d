"""Rendered pictures in RotationNet's layout: `<class>/<split>/<name>_001.png` and on."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointcmt.data.dataset import CloudDataset
from pointcmt.data.tree import ALL
from pointcmt.data.validate import require_folder
from pointcmt.errors import InputError
from pointcmt.fetch.mirrors import Archive, Mirror
from pointcmt.files import name_bytes
from pointcmt.geometry import SUFFIXES

MAX_SIDE = 4096
PICTURE = re.compile(r"(.+)_(\d{3})\.png")
JOINED = {"trainval": ("train", "val")}  # splits that are made of others


class RenderedViews:
    """The pictures of listed objects, read when they are asked for.

    Args:
        root: the folder with a folder for each class.
        stems: the objects, as `chair/train/chair_0001`.
        views: pictures an object, one or more; by default as many as the objects have.

    Raises:
        InputError: a folder is missing, or an object lacks a picture; the message names both.
    """

    def __init__(self, root: Path | str, stems: Sequence[str], views: int | None = None) -> None:
        self.root, self.stems = Path(root), list(stems)
        for stem in self.stems:
            if ".." in stem or stem.startswith("/") or stem.count("/") != 2:
                raise InputError(f"object {stem!r}: <class>/<split>/<name> was expected")
        folders = sorted({stem.rpartition("/")[0] for stem in self.stems})
        found = {folder: _pictures(self.root / folder) for folder in folders}
        numbers = [found[f].get(name, set()) for f, _, name in map(_parted, self.stems)]
        self.count = views or max((max(seen, default=0) for seen in numbers), default=0)
        for stem, seen in zip(self.stems, numbers, strict=True):
            missing = sorted(set(range(1, max(self.count, 1) + 1)) - seen)
            if missing:
                raise InputError(f"{self._path(stem, missing[0])}: this view of {stem} is missing")

    @classmethod
    def of(cls, root: Path | str, split: str, data: CloudDataset) -> "RenderedViews":
        """Return the pictures of the objects of a data set, in its order.

        Args:
            root: the folder with a folder for each class.
            split: of the data set; what is not under it is looked for under `all`.
            data: objects whose pictures are named as `pointcmt-data views` names them.

        Raises:
            InputError: an object lacks a picture.
        """
        return cls(root, list(_stems(Path(root), split, data)))

    @classmethod
    def of_all(cls, root: Path | str, split: str, views: int | None = None) -> "RenderedViews":
        """Return the pictures of every object there is, in alphabetical order."""
        root = Path(root)
        require_folder(root, "a folder with a folder of pictures for each class")
        names = sorted(p.name for p in root.iterdir() if (p / split).is_dir())
        stems = {name: sorted(_pictures(root / name / split)) for name in names}
        if not any(stems.values()):
            raise InputError(f"{root}: has no <class>/{split}/<name>_001.png")
        return cls(root, [f"{n}/{split}/{stem}" for n in names for stem in stems[n]], views)

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.stems)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return the pictures of one object, (V, H, W, 3).

        Raises:
            InputError: a picture is damaged, absurdly large, or of another size than the first.
        """
        pictures = []
        for path in self.paths(index):
            pictures.append(_read(path))
            if pictures[-1].shape != pictures[0].shape:
                raise InputError(
                    f"{path}: {pictures[-1].shape[1]}x{pictures[-1].shape[0]} pixels, but the "
                    f"first view has {pictures[0].shape[1]}x{pictures[0].shape[0]}"
                )
        return np.stack(pictures)

    def decoded(self, index: int) -> bool:
        """Return False: files are decoded each time; `DecodedViews` keeps what came of them."""
        return False

    def state(self, index: int) -> str:
        """Return a digest of the names, sizes and times of change of an object's pictures.

        Raises:
            InputError: one of them is gone.
        """
        digest = hashlib.sha256()
        for path in self.paths(index):
            try:
                found = path.stat()
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror})") from error
            digest.update(name_bytes(f"{path.name}\0{found.st_size}\0{found.st_mtime_ns}\0"))
        return digest.hexdigest()[:16]

    def paths(self, index: int) -> list[Path]:
        """Return the files of one object, V of them."""
        stem = self.stems[index]
        return [self._path(stem, number) for number in range(1, self.count + 1)]

    def subset(self, indices: ArrayLike) -> "RenderedViews":
        """Return the chosen objects' pictures, in the order of `indices`."""
        chosen = [self.stems[i] for i in np.asarray(indices, dtype=np.int64)]
        return RenderedViews(self.root, chosen, self.count)

    def _path(self, stem: str, number: int) -> Path:
        return self.root / f"{stem}_{number:03d}.png"


def picture_name(one: str, class_name: str, split: str) -> str:
    """Return a file name for an id: `chair/train/x.off` gives `x`, `ply_0/7` gives `ply_0-7`.

    The folders of class and split are left out, in either order; an object that has a folder of
    its own is named by both, `chair/train/one/model.obj` gives `one-model`.
    """
    path = Path(one)
    parts = list(path.with_suffix("").parts if path.suffix.lower() in SUFFIXES else path.parts)
    while len(parts) > 1 and parts[0] in (class_name, split):
        parts.pop(0)
    return "-".join(parts)


def _stems(root: Path, split: str, data: CloudDataset) -> Iterator[str]:
    require_folder(root, "a folder with a folder of pictures for each class")
    places = (*JOINED.get(split, (split,)), ALL)
    there: dict[Path, dict[str, set[int]]] = {}
    for one, label in zip(data.ids, data.labels, strict=True):
        name = data.classes[int(label)]
        stems = {place: f"{name}/{place}/{picture_name(one, name, place)}" for place in places}
        for stem in stems.values():
            folder = (root / stem).parent
            if folder not in there:
                there[folder] = _pictures(folder) if folder.is_dir() else {}
        yield next(
            (stem for stem in stems.values() if Path(stem).name in there[(root / stem).parent]),
            stems[places[0]],
        )


def _parted(stem: str) -> tuple[str, str, str]:
    return stem.rpartition("/")


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
