"""Folders of objects, by class and split, by split and class, or by class alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pointcmt.data.cache import Entry
from pointcmt.data.object_files import ObjectFiles
from pointcmt.data.validate import require_folder
from pointcmt.errors import InputError
from pointcmt.files import is_foreign
from pointcmt.geometry import MESH_SUFFIXES

ALL = "all"
SPLIT_FOLDERS = ("train", "val", "test")


def split_names(root: Path) -> tuple[str, ...]:
    """Return the splits for which a tree of class folders has folders; none if it has no splits."""
    require_folder(root, "a folder with a folder for each class")
    found = {path.name for folder in _folders(root) for path in (folder, *_folders(folder))}
    return tuple(name for name in SPLIT_FOLDERS if name in found)


def read_tree(
    root: Path, split: str, suffixes: Sequence[str], classes: Sequence[str] | None = None
) -> ObjectFiles:
    """List the objects of one split.

    An object is a file, or a folder of its own with one mesh (and its materials and pictures),
    which may lie in folders below it. Names that begin with a dot and `__MACOSX` are passed
    over, as are other files' endings.

    Args:
        root: the folder with a folder for each class, or for each split and in it for each class.
        split: a split, or `all`: where there are no split folders the whole tree, else all splits.
        suffixes: the file names' endings, lower case.
        classes: the expected class names; by default those of all splits, alphabetically.

    Returns:
        The objects; their ids are the paths below `root`. A class may have none.

    Raises:
        InputError: a folder is missing, there is no object, or the split does not fit the tree.
    """
    if split not in (*SPLIT_FOLDERS, ALL):
        raise InputError(f"unknown split {split!r}: use one of {', '.join((*SPLIT_FOLDERS, ALL))}")
    present = split_names(root)
    if not _folders(root):
        raise InputError(f"{root}: has no folders; one for each class was expected")
    if split == ALL and not present:
        places = {folder.name: [folder] for folder in _folders(root)}
    else:
        _require_split(root, split, present)
        places = _split_places(root, present, present if split == ALL else (split,))
    names = tuple(classes) if classes is not None else tuple(sorted(places))
    for name in names:
        if name not in places:
            raise InputError(f"{root / name}: no such folder; the objects of that class go there")
    found = {name: [e for f in places[name] for e in _objects(root, f, suffixes)] for name in names}
    if not any(found.values()):
        raise InputError(
            f"{root}: no object of split {split!r} in its class folders; "
            f"files ending in {', '.join(suffixes)} were expected"
        )
    return ObjectFiles(names, {name: files for name, files in found.items() if files})


def _require_split(root: Path, split: str, present: tuple[str, ...]) -> None:
    if not present:
        raise InputError(
            f"{root}: its class folders have no folder {split!r}; add train and test folders, "
            "hold out a share of the objects (data.test_share=0.2), or read it with split 'all'"
        )
    if split != ALL and split not in present:
        raise InputError(f"{root}: has no {split!r} folders; there are {', '.join(present)}")


def _split_places(
    root: Path, present: tuple[str, ...], wanted: tuple[str, ...]
) -> dict[str, list[Path]]:
    """The folders with each class's objects of the wanted splits; every class of any split."""
    places: dict[str, list[Path]] = {}
    outer = {folder.name for folder in _folders(root)} <= set(SPLIT_FOLDERS)
    for split in present:
        if outer:
            pairs = [(folder.name, folder) for folder in _folders(root / split)]
        else:
            pairs = [(folder.name, folder / split) for folder in _folders(root)]
        for name, folder in pairs:
            places.setdefault(name, [])
            if split in wanted and folder.is_dir():
                places[name].append(folder)
    return places


def _objects(root: Path, folder: Path, suffixes: Sequence[str]) -> Iterator[Entry]:
    paths = sorted(folder.iterdir())
    described = any(path.suffix.lower() == ".gltf" for path in paths)
    for path in paths:
        if is_foreign(path.name):
            continue
        file = _only_object(path, suffixes) if path.is_dir() else path
        if described and path.suffix.lower() == ".bin":
            continue  # the numbers of a glTF, not a scan
        if file is not None and file.suffix.lower() in suffixes and file.is_file():
            yield file.relative_to(root).as_posix(), file


def _only_object(folder: Path, suffixes: Sequence[str]) -> Path | None:
    """The mesh of a model that has a folder of its own, or its only cloud; perhaps below it."""
    within = [path for path in sorted(folder.iterdir()) if not is_foreign(path.name)]
    known = [path for path in within if path.suffix.lower() in suffixes and path.is_file()]
    deeper = [path for path in within if path.is_dir()] if not known else []
    known += [one for path in deeper if (one := _only_object(path, suffixes)) is not None]
    found = [path for path in known if path.suffix.lower() in MESH_SUFFIXES] or known
    if len(found) > 1:
        raise InputError(
            f"{folder}: holds {len(found)} objects ({found[0].name}, {found[1].name}, ...); "
            "a folder below a class has one, with its materials and pictures"
        )
    return found[0] if found else None


def _folders(root: Path) -> list[Path]:
    return [path for path in sorted(root.iterdir()) if path.is_dir() and not is_foreign(path.name)]
