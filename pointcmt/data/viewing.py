"""Which pictures a data set wants: its objects as jobs for `pointcmt.views.batch`."""

from collections.abc import Iterator
from pathlib import Path

from pointcmt.data.dataset import XYZ_RGB, CloudDataset
from pointcmt.data.detect import Opener, detect
from pointcmt.data.shapes import Shapes
from pointcmt.data.tree import ALL, SPLIT_FOLDERS, read_tree
from pointcmt.errors import InputError
from pointcmt.geometry import MESH_SUFFIXES, SUFFIXES
from pointcmt.views.batch import ViewJob

EMBEDDED = "shapes"
Z_UP_SUFFIXES = (".off", ".stl")  # ModelNet and most CAD; GLB is y up by its standard


def openers(path: str, variant: str | None = None) -> tuple[Opener, ...]:
    """Return what opens the splits of the data set at `path`, or of the embedded one, `shapes`.

    Raises:
        InputError: there is no such folder, or it holds several data sets and `variant` is none
            of them.
    """
    if path == EMBEDDED:
        return (lambda: Shapes("train"), lambda: Shapes("test"))
    found = detect(path)
    if variant is None and len(found) == 1:
        variant = next(iter(found))
    if variant not in found:
        raise InputError(
            f"{path}: holds {', '.join(found)}; choose one of these with --variant"
            + (f", not {variant!r}" if variant else "")
        )
    return found[variant]


def holds_meshes(path: str) -> bool:
    """Tell whether `path` has class folders with mesh files in them."""
    root = Path(path)
    return path != EMBEDDED and any(
        file.suffix.lower() in MESH_SUFFIXES
        for pattern in ("*/*", "*/*/*")
        for file in root.glob(pattern)
        if file.is_file()
    )


def vertical(path: Path) -> str:
    """Return the usual vertical, `y` or `z`, of a file or of the meshes in a folder."""
    files = [path] if path.is_file() else (p for p in path.glob("*/**/*") if p.suffix)
    first = next((p for p in files if p.suffix.lower() in SUFFIXES), None)
    return "z" if first is not None and first.suffix.lower() in Z_UP_SUFFIXES else "y"


def mesh_jobs(path: str) -> list[ViewJob]:
    """Return the mesh files of a class tree, all splits, or the meshes of the embedded set.

    Raises:
        InputError: the tree has no meshes.
    """
    if path == EMBEDDED:
        return [job for split in SPLIT_FOLDERS for job in _embedded_meshes(Shapes(split))]
    root = Path(path)
    divided = any(folder.name in SPLIT_FOLDERS for folder in root.glob("*/*") if folder.is_dir())
    jobs = []
    for split in SPLIT_FOLDERS if divided else (ALL,):
        for files, name in _by_class(root, split):
            jobs += [ViewJob(f"{name}/{split}/{file.stem}", file) for file in files]
    return jobs


def cloud_jobs(data: CloudDataset) -> Iterator[ViewJob]:
    """Yield the clouds of one split, with their colours if they have any."""
    split = data.name.rpartition("/")[2]
    channels = 6 if data.channels == XYZ_RGB else 3
    for index, one in enumerate(data.ids):
        name = data.classes[int(data.labels[index])]
        stem = picture_name(one, name, split)
        yield ViewJob(f"{name}/{split}/{stem}", data.points[index, :, :channels])


def picture_name(one: str, class_name: str, split: str) -> str:
    """Return a file name for an id: `chair/train/x.off` gives `x`, `ply_0/7` gives `ply_0-7`."""
    path = Path(one)
    parts = list(path.with_suffix("").parts if path.suffix.lower() in SUFFIXES else path.parts)
    while len(parts) > 1 and parts[0] in (class_name, split):
        parts.pop(0)
    return "-".join(parts)


def _embedded_meshes(data: Shapes) -> Iterator[ViewJob]:
    for index, job in enumerate(cloud_jobs(data)):
        yield ViewJob(job.stem, data.mesh(index))


def _by_class(root: Path, split: str) -> Iterator[tuple[tuple[Path, ...], str]]:
    tree = read_tree(root, split, MESH_SUFFIXES)
    yield from zip(tree.files, tree.classes, strict=True)
