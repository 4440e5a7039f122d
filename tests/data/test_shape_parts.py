"""Part labels of the embedded shapes, against what the geometry says."""

import numpy as np
import pytest

from pointcmt.data import Shapes
from pointcmt.data.catalog import find
from pointcmt.data.readers.shapes import MAKERS, SHAPES_PARTS
from pointcmt.data.shapes.scan import FLOOR, scan
from pointcmt.data.shapes.solids import box, join
from pointcmt.errors import InputError
from pointcmt.parts import part_counts, part_labels, part_ranges, require_parts

ABOVE = {  # a part whose every face lies above the middle of every face of the other
    "chair": ("back", "leg"),
    "bottle": ("neck", "body"),
    "vase": ("lip", "body"),
    "sofa": ("back", "foot"),
    "table": ("top", "shelf"),
    "bowl": ("rim", "foot"),
}


def models(name, count=20):
    return [MAKERS[name](np.random.default_rng(seed)) for seed in range(count)]


def heights(model, part):
    middle = model.mesh.vertices[model.mesh.faces].mean(axis=1)
    return middle[model.parts == part, 1]


@pytest.mark.parametrize("name", MAKERS)
def test_every_class_has_its_parts_and_no_others(name):
    made = models(name, 60)
    assert {part for model in made for part in model.parts} == set(SHAPES_PARTS[name][:-1])
    assert all(len(model.parts) == len(model.mesh.faces) for model in made)


@pytest.mark.parametrize("name", ABOVE)
def test_parts_lie_where_their_names_say(name):
    upper, lower = ABOVE[name]
    both = [m for m in models(name) if {upper, lower} <= set(m.parts)]
    assert both
    for model in both:
        assert heights(model, upper).mean() > heights(model, lower).max() - 1e-9


def test_a_handle_stands_out_of_its_cup():
    for model in models("cup"):
        reach = np.abs(model.mesh.vertices[model.mesh.faces][..., 0]).max(axis=1)
        handle = reach[model.parts == "handle"]
        assert handle.size == 0 or handle.max() > reach[model.parts == "wall"].max()


@pytest.mark.parametrize("seed", range(8))
def test_labels_stay_with_their_points_through_a_scan(seed):
    pair = join({"left": [box((-5, 0, 0), (1, 1, 1))], "right": [box((5, 0, 0), (1, 1, 1))]})
    points, faces = scan(pair.mesh, 400, np.random.default_rng(seed))
    seen = points[faces != FLOOR]
    along = np.linalg.svd(seen - seen.mean(axis=0), full_matrices=False)[2][0]
    side = seen @ along
    right = pair.parts[faces[faces != FLOOR]] == "right"
    assert np.ptp(side[right]) < 0.5
    assert np.ptp(side[~right]) < 0.5
    floor = points[faces == FLOOR]
    assert len(floor) <= 40
    assert (np.abs(floor[:, 1] - points[:, 1].min()) < 0.4).all()


def test_points_carry_labels_of_their_own_class():
    shapes, ranges = Shapes("train", 4, 128), part_ranges(part_counts(SHAPES_PARTS))
    for label, parts in zip(shapes.labels, shapes.parts, strict=True):
        assert set(parts) <= set(ranges[label])
    chairs = shapes.parts[shapes.labels == shapes.classes.index("chair")]
    labels = part_labels(SHAPES_PARTS)["chair"]
    assert all((chairs == labels[part]).any() for part in ("seat", "leg", "back"))


# --- numbering and checks


def test_parts_are_numbered_through_the_classes():
    parts = {"cup": ("wall", "handle"), "vase": ("body",), "bowl": ("wall", "rim")}
    assert part_counts(parts) == (2, 1, 2)
    assert part_ranges((2, 1, 2)) == [range(2), range(2, 3), range(3, 5)]
    assert part_labels(parts)["bowl"] == {"wall": 3, "rim": 4}


@pytest.mark.parametrize("name", ["shapes", "shapenetpart", "shapenetpart-hdf5"])
def test_the_catalogue_names_the_parts_of_each_class(name):
    require_parts(find(name).parts, tuple(find(name).parts), "x")
    assert sum(part_counts(find(name).parts)) == {"shapes": 53}.get(name, 50)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"b": ["x"], "a": ["y"]},
        {"a": ["x"]},
        {"a": [], "b": ["x"]},
        {"a": ["x", "x"], "b": ["y"]},
        {"a": ["x"], "b": [1]},
        {"a": "xy", "b": ["y"]},
    ],
)
def test_other_parts_are_refused(value):
    with pytest.raises(InputError, match="parts are not one or more different names"):
        require_parts(value, ("a", "b"), "parts")
