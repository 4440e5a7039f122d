"""The clouds that an artefact is compared on: all that were asked for, as the student wants."""

import numpy as np

from pointcmt.checkpoint import ModelConfig
from pointcmt.data import SHAPES_CLASSES, Shapes
from pointcmt.geometry import normalize
from pointcmt_export.verify import Clouds, open_calibration, open_data

CONFIG = ModelConfig("pointnet", {}, SHAPES_CLASSES, 16, "unit-box")


def test_batches_hold_every_cloud_with_its_label_by_the_students_rule() -> None:
    data = Shapes("test", per_class=1, points=16)
    batches = list(Clouds(data, data, CONFIG).labelled_batches(5))
    assert [len(clouds) for clouds, _ in batches] == [5, 5, 2]
    clouds, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(labels, data.labels)
    np.testing.assert_array_equal(clouds, normalize(data.points, "unit-box"))


def test_a_limit_is_spread_over_the_data_set() -> None:
    whole = open_data("shapes:1", CONFIG).labelled
    some = open_data("shapes:1", CONFIG, limit=4).labelled
    assert whole is not None
    assert some is not None
    assert some.ids == [whole.ids[i] for i in (0, 4, 7, 11)]


def test_ranges_are_those_of_the_training_split() -> None:
    found = open_calibration("shapes:1", CONFIG)
    assert found.parity.name == "shapes/train"
    assert found.labelled is None
