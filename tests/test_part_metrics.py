"""Part IoU against a count object by object, as published evaluations write it."""

import math

import numpy as np
import pytest
import torch

from pointcmt.part_metrics import choose_parts, part_iou
from pointcmt.parts import part_ranges

COUNTS = (3, 1, 2)
RANGES = part_ranges(COUNTS)


def by_loops(predicted, parts, labels):
    """Instance and class mIoU in plain numpy, with sets of point numbers."""
    found = {label: [] for label in range(len(COUNTS))}
    for given, true, label in zip(predicted, parts, labels, strict=True):
        ious = []
        for part in RANGES[label]:
            one, other = set(np.flatnonzero(given == part)), set(np.flatnonzero(true == part))
            ious.append(len(one & other) / len(one | other) if one | other else 1.0)
        found[label].append(sum(ious) / len(ious))
    every = [iou for ious in found.values() for iou in ious]
    means = [sum(ious) / len(ious) for ious in found.values() if ious]
    return sum(every) / len(every), sum(means) / len(means)


def made(seed, classes=3, objects=9, points=30):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, objects)
    first = np.array([own.start for own in RANGES])[labels][:, None]
    count = np.array(COUNTS)[labels][:, None]
    draw = lambda: first + rng.integers(0, 100, (objects, points)) % np.maximum(count - 1, 1)  # noqa: E731
    return draw(), draw(), labels


@pytest.mark.parametrize("seed", range(5))
def test_both_means_equal_a_loop_over_objects(seed):
    predicted, parts, labels = made(seed, classes=2 + seed % 2)
    found = part_iou(*map(torch.from_numpy, (predicted, parts, labels)), RANGES)
    instance, mean_class = by_loops(predicted, parts, labels)
    assert found.instance == pytest.approx(instance, abs=1e-12)
    assert found.mean_class == pytest.approx(mean_class, abs=1e-12)
    assert found.points == pytest.approx((predicted == parts).mean())


def test_by_hand():
    """A part that is neither there nor found counts 1; one that is found and not there 0."""
    predicted = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 2], [4, 4, 4, 5]])
    parts = torch.tensor([[0, 0, 0, 1], [0, 0, 0, 0], [4, 4, 4, 4]])
    found = part_iou(predicted, parts, torch.tensor([0, 0, 2]), RANGES)
    objects = [(2 / 3 + 1 / 2 + 1) / 3, (3 / 4 + 1 + 0) / 3, (3 / 4 + 0) / 2]
    assert found.objects.tolist() == pytest.approx(objects)
    assert found.by_class[[0, 2]].tolist() == pytest.approx([sum(objects[:2]) / 2, objects[2]])
    assert math.isnan(found.by_class[1])
    assert found.mean_class == pytest.approx((sum(objects[:2]) / 2 + objects[2]) / 2)


def test_a_point_gets_the_best_part_of_its_own_class():
    logits = torch.tensor([[[0.0, 1, 2, 9, 3, 4]], [[0.0, 1, 2, 9, 3, 4]], [[5.0, 1, 2, 9, 4, 3]]])
    assert choose_parts(logits, torch.tensor([0, 1, 2]), RANGES).tolist() == [[2], [3], [4]]


def test_shapes_that_do_not_belong_together_are_refused():
    parts = torch.zeros(2, 5, dtype=torch.int64)
    for predicted, labels in ((parts[:, :4], parts[:, 0]), (parts, parts[:1, 0])):
        with pytest.raises(ValueError, match=r"must be \(n, N\)"):
            part_iou(predicted, parts, labels, RANGES)
