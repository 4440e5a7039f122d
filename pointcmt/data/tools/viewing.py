"""Which pictures a data set wants: its objects as jobs for `pointcmt.views.batch`."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pointcmt.data.catalog import CATALOG, Reference, open_dataset, parse_reference, recognise
from pointcmt.data.dataset import XYZ_RGB, CloudDataset
from pointcmt.data.readers.folder import require_told_apart
from pointcmt.data.readers.rendered import picture_name
from pointcmt.data.readers.shapes import Shapes
from pointcmt.data.record import Reading, Stored
from pointcmt.data.tree import ALL, read_tree, split_names
from pointcmt.errors import InputError
from pointcmt.geometry import MESH_SUFFIXES, SUFFIXES
from pointcmt.views.batch import ViewJob

Z_UP_SUFFIXES = (".off", ".stl")  # ModelNet and most CAD; GLB is y up by its standard
Opener = Callable[[], CloudDataset]


def refer(text: str) -> Reference:
    """Return the data set that a command names: `NAME:FOLDER`, `FOLDER` alone, or `shapes`.

    Raises:
        InputError: there is no such folder, or it holds several data sets and none is named.
    """
    if text.partition(":")[0] in CATALOG and not Path(text).is_dir():
        return parse_reference(text)
    found = recognise(text)
    if len(found) > 1:
        names = ", ".join(f"{data.name}:{text}" for data in found)
        raise InputError(f"{text}: holds several data sets; name one of {names}")
    return Reference(found[0], Path(text))


def stored_splits(reference: Reference) -> list[Stored]:
    """Return each split of a data set as its files hold it."""
    data, root, per_class = reference
    reading = Reading(per_class=per_class)
    return [data.stored(root, split, reading) for split in _splits(reference)]


def openers(reference: Reference, cache: Path | None = None) -> tuple[Opener, ...]:
    """Return what opens each split of a data set; nothing is read yet."""
    data, root, per_class = reference
    return tuple(
        partial(open_dataset, data.name, root, split, per_class=per_class, cache=cache)
        for split in _splits(reference)
    )


def _splits(reference: Reference) -> tuple[str, ...]:
    data, root, _ = reference
    if ALL not in data.splits:
        return data.splits
    require_told_apart(root)
    return split_names(root) or (ALL,)


def holds_meshes(reference: Reference) -> bool:
    """Tell whether a data set is one of class folders with mesh files in them."""
    return not reference.data.embedded and any(
        file.suffix.lower() in MESH_SUFFIXES
        for pattern in ("*/*", "*/*/*", "*/*/*/*")
        for file in reference.root.glob(pattern)
        if file.is_file()
    )


def vertical(path: Path) -> str:
    """Return the usual vertical, `y` or `z`, of a file or of the meshes in a folder."""
    files = [path] if path.is_file() else (p for p in path.glob("*/**/*") if p.suffix)
    first = next((p for p in files if p.suffix.lower() in SUFFIXES), None)
    return "z" if first is not None and first.suffix.lower() in Z_UP_SUFFIXES else "y"


def mesh_jobs(reference: Reference) -> list[ViewJob]:
    """Return the mesh files of a class tree, all splits, or the meshes of the embedded set.

    Raises:
        InputError: the tree has no meshes.
    """
    data, root, per_class = reference
    if data.embedded:
        return [job for split in data.splits for job in _embedded_meshes(Shapes(split, per_class))]
    require_told_apart(root)
    jobs = []
    for split in split_names(root) or (ALL,):
        for name, files in read_tree(root, split, MESH_SUFFIXES).files.items():
            stems = ((f"{name}/{split}/{picture_name(one, name, split)}", f) for one, f in files)
            jobs += [ViewJob(stem, file) for stem, file in stems]
    return jobs


def cloud_jobs(data: CloudDataset, split: str = "") -> Iterator[ViewJob]:
    """Yield the clouds of one split, called as the data set says, with colours if they have any."""
    split = split or data.name.rpartition("/")[2]
    channels = 6 if data.channels == XYZ_RGB else 3
    for index, one in enumerate(data.ids):
        name = data.classes[int(data.labels[index])]
        stem = picture_name(one, name, split)
        yield ViewJob(f"{name}/{split}/{stem}", data.points[index, :, :channels])


def _embedded_meshes(data: Shapes) -> Iterator[ViewJob]:
    for index, job in enumerate(cloud_jobs(data)):
        yield ViewJob(job.stem, data.mesh(index))
