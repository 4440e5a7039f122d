import json

import numpy as np
import pytest

from pointcmt.data import CloudDataset
from pointcmt.data.tools.identity import changes, identify

POINTS = np.random.default_rng(0).normal(size=(6, 8, 3)).astype(np.float32)


def splits(classes=("a", "b"), labels=(0, 1, 0, 1, 0, 1), points=POINTS):
    ids = [str(i) for i in range(len(labels))]
    train = CloudDataset("x/train", classes, points[: len(labels)], labels, ids)
    return {"train": train, "test": train.subset([0, 1])}


def test_the_same_data_have_one_identity_after_json():
    there = json.loads(json.dumps(identify(splits())))
    assert changes(there, identify(splits())) == ""
    assert there["train"]["classes"] == {"a": 3, "b": 3}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (splits(("a", "b", "c")), "class 'c' is new"),
        (splits(("a", "sofa")), "class 'sofa' is new; class 'b' is gone"),
        (splits(("b", "a")), "the classes are in another order"),
        (splits(labels=(0, 1, 0, 1, 0)), "train has 2 of 'b', not 3"),
        (splits(points=POINTS + np.float32(1e-6)), "train has other clouds; test has other clouds"),
        ({"train": splits()["train"]}, ""),
    ],
)
def test_what_differs_is_said(changed, words):
    assert changes(identify(splits()), identify(changed)) == words


def test_clouds_without_labels_are_of_no_class():
    data = splits(labels=(0, 1, -1, -1, 0, 1))["train"]
    assert identify({"train": data})["train"]["classes"] == {"a": 2, "b": 2}
