"""`Shapes`: twelve classes of parametric objects, generated from a seed in seconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.dataset import CloudDataset
from pointcmt.data.record import DataSet, Reading, stored_arrays
from pointcmt.data.shapes import furniture, vessels
from pointcmt.data.shapes.scan import scan
from pointcmt.data.shapes.solids import Model
from pointcmt.data.validate import SPLITS, require_split
from pointcmt.errors import InputError
from pointcmt.geometry import XYZ, Mesh
from pointcmt.parts import part_labels

MAKERS: dict[str, Callable[[np.random.Generator], Model]] = {
    "bench": furniture.bench,
    "bottle": vessels.bottle,
    "bowl": vessels.bowl,
    "chair": furniture.chair,
    "cup": vessels.cup,
    "desk": furniture.desk,
    "lamp": vessels.lamp,
    "shelf": furniture.shelf,
    "sofa": furniture.sofa,
    "stool": furniture.stool,
    "table": furniture.table,
    "vase": vessels.vase,
}
SHAPES_CLASSES = tuple(MAKERS)
FLOOR = "floor"  # of which a scan may show a piece
SHAPES_PARTS: dict[str, tuple[str, ...]] = {
    "bench": ("seat", "leg", "back", "arm", FLOOR),
    "bottle": ("body", "neck", "cap", FLOOR),
    "bowl": ("wall", "foot", "rim", FLOOR),
    "chair": ("seat", "leg", "back", "arm", FLOOR),
    "cup": ("wall", "handle", "saucer", FLOOR),
    "desk": ("top", "leg", "drawers", "panel", "hutch", FLOOR),
    "lamp": ("base", "stem", "shade", FLOOR),
    "shelf": ("board", "side", "rear", "divider", FLOOR),
    "sofa": ("seat", "back", "arm", "foot", FLOOR),
    "stool": ("seat", "leg", "ring", FLOOR),
    "table": ("top", "leg", "shelf", FLOOR),
    "vase": ("body", "lip", FLOOR),
}
PER_CLASS = {"train": 100, "test": 50}


class Shapes(CloudDataset):
    """Scanned-looking clouds of chairs, stools, tables and nine other kinds of objects.

    Object `i` of a split depends on `(seed, split, i)` alone and has label `i % 12`: a larger set
    begins with the smaller one. Clouds have y up and lie in the unit sphere. `parts` says of which
    part of the mesh each point is, numbered through `SHAPES_PARTS`.

    Args:
        split: `train` or `test`; they share no object.
        per_class: objects a class; 100 for `train` and 50 for `test` by default.
        points: points a cloud.
        seed: another seed gives another data set of the same kind.

    Raises:
        InputError: a size is out of range.
    """

    def __init__(
        self,
        split: str = "train",
        per_class: int | None = None,
        points: int = 1024,
        seed: int = 0,
    ) -> None:
        require_split(split)
        size = PER_CLASS[split] if per_class is None else per_class
        if not (1 <= size <= 100_000 and 2 <= points <= 100_000 and seed >= 0):
            raise InputError(
                f"Shapes: per_class={size}, points={points}, seed={seed}; a class needs 1 to "
                "100000 objects, a cloud 2 to 100000 points, and the seed must not be negative"
            )
        self.split, self.seed = split, seed
        n = size * len(MAKERS)
        clouds = np.empty((n, points, 3), dtype=np.float32)
        parts = np.empty((n, points), dtype=np.int64)
        for i in range(n):
            clouds[i], parts[i] = scanned(seed, split, i, points)
        labels: NDArray[np.int64] = np.arange(n) % len(MAKERS)
        ids = [f"{SHAPES_CLASSES[k]}/{SHAPES_CLASSES[k]}_{i:05d}" for i, k in enumerate(labels)]
        name = f"{RECORD.name}-seed{seed}" if seed else RECORD.name
        super().__init__(
            f"{name}/{split}", SHAPES_CLASSES, clouds, labels, ids, up=RECORD.up, parts=parts
        )

    def mesh(self, index: int) -> Mesh:
        """Return the mesh of object `index`, unscanned: upright (y), facing +z, not normalised."""
        return _model(self.seed, self.split, index).mesh


def scanned(
    seed: int, split: str, index: int, points: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the cloud (points, 3) of an object, and of which part (points,) each point is."""
    model = _model(seed, split, index)
    cloud, faces = scan(model.mesh, points, _rng(seed, split, index, stream=1))
    return cloud, _numbered(SHAPES_CLASSES[index % len(MAKERS)], model)[faces]


def _model(seed: int, split: str, index: int) -> Model:
    maker = MAKERS[SHAPES_CLASSES[index % len(MAKERS)]]
    return maker(_rng(seed, split, index, stream=0))


def _rng(seed: int, split: str, index: int, stream: int) -> np.random.Generator:
    return np.random.default_rng((seed, SPLITS.index(split), index, stream))


def _numbered(name: str, model: Model) -> NDArray[np.int64]:
    """Return the part label of each face of a class's object, and behind them the floor's."""
    labels = part_labels(SHAPES_PARTS)[name]
    return np.array([labels[part] for part in (*model.parts.tolist(), FLOOR)])


def _read(_root: Path, split: str, reading: Reading) -> CloudDataset:
    return Shapes(split, reading.per_class, reading.points)


RECORD = DataSet(
    name="shapes",
    about="twelve classes of made-up objects, embedded: no download",
    files="",
    read=_read,
    stored=lambda _root, split, how: stored_arrays(Shapes(split, how.per_class, how.points)),
    recognise=lambda _root: False,
    channels=XYZ,
    up="y",
    parts=SHAPES_PARTS,
    citation="this project",
    licence="MIT",
)
