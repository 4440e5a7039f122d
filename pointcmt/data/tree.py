"""Folders of objects, `<class>/<split>/<file>` or `<class>/<file>`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.cache import Cache
from pointcmt.data.validate import require_folder
from pointcmt.errors import InputError

ALL = "all"
SPLIT_FOLDERS = ("train", "test")


@dataclass(frozen=True)
class ClassTree:
    """The objects of one split.

    Attributes:
        classes: class names; by default the folders' in alphabetical order.
        files: the files of each class, in the order of their names.
    """

    classes: tuple[str, ...]
    files: tuple[tuple[Path, ...], ...]

    @property
    def labels(self) -> list[int]:
        """The label of each file, class after class."""
        return [label for label, files in enumerate(self.files) for _ in files]


def read_tree(
    root: Path, split: str, suffixes: Sequence[str], classes: Sequence[str] | None = None
) -> ClassTree:
    """List the objects of one split.

    Args:
        root: the folder with a folder for each class.
        split: `train`, `test` or, where the class folders hold the files themselves, `all`; with
            split folders, `all` lists both.
        suffixes: the file names' endings, lower case; other files are passed over.
        classes: the expected class names; by default all folders that do not begin with a dot.

    Raises:
        InputError: a folder is missing, there is no file, or the split does not fit the tree.
    """
    if split not in (*SPLIT_FOLDERS, ALL):
        raise InputError(f"unknown split {split!r}: use one of {', '.join((*SPLIT_FOLDERS, ALL))}")
    require_folder(root, "a folder with a folder for each class")
    names = tuple(classes) if classes is not None else _class_names(root)
    folders = [root / name for name in names]
    for folder in folders:
        require_folder(folder, "a folder with the objects of that class")
    splits = _splits(root, folders, split)
    files = tuple(tuple(p for s in splits for p in _files(f / s, suffixes)) for f in folders)
    if not any(files):
        raise InputError(
            f"{root}: no object of split {split!r} in its class folders; "
            f"files ending in {', '.join(suffixes)} were expected"
        )
    return ClassTree(names, files)


def is_divided(root: Path) -> bool:
    """Tell whether the class folders have folders for the splits."""
    return any(path.name in SPLIT_FOLDERS for path in root.glob("*/*") if path.is_dir())


def _class_names(root: Path) -> tuple[str, ...]:
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise InputError(f"{root}: has no folders; one for each class was expected")
    return tuple(names)


def _splits(root: Path, folders: list[Path], split: str) -> tuple[str, ...]:
    """The folders below each class folder that hold the files; "" is the class folder itself."""
    divided = any((folder / s).is_dir() for folder in folders for s in SPLIT_FOLDERS)
    if not divided:
        if split != ALL:
            raise InputError(
                f"{root}: its class folders have no folder {split!r}; "
                "add train and test folders, or read it with split 'all'"
            )
        return ("",)
    return SPLIT_FOLDERS if split == ALL else (split,)


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    require_folder(folder, "the objects of that class and split")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and p.is_file())


def prepared(
    store: Cache, tree: ClassTree, split: str, prepare: Callable[[Path], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return the clouds of a tree, class after class, prepared or from the cache."""
    named = zip(tree.classes, tree.files, strict=True)
    groups = {f"{name}-{split}": files for name, files in named if files}
    return np.concatenate(store.rows(groups, prepare))
