"""Imbalanced classes: weights, a balanced order, and both as training uses them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointcmt_training.class_balance import balanced_order, class_weights
from pointcmt_training.recipe import load_config
from pointcmt_training.stages.common import epoch_order, loss_weights

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(torch.tensor)


@given(LABELS)
def test_every_class_weighs_the_same_and_the_mean_is_one(labels):
    weights = class_weights(labels, 6)
    sums = torch.bincount(labels, weights[labels], minlength=6)
    present = torch.bincount(labels, minlength=6) > 0
    assert torch.allclose(sums[present], sums.sum() / present.sum())
    assert torch.allclose(weights[labels].mean(), torch.tensor(1.0))
    assert not weights[~present].any()


@given(LABELS)
@settings(max_examples=50)
def test_an_epoch_has_all_classes_alike_and_every_sample_alike(labels):
    order = balanced_order(labels)
    assert len(order) == len(labels)
    counts = torch.bincount(labels[order], minlength=5)[labels.unique()]
    assert counts.max() - counts.min() <= 1
    seen = torch.bincount(order, minlength=len(labels))
    for label in labels.unique():
        times = seen[labels == label]
        assert times.max() - times.min() <= 1


def test_another_draw_is_another_order():
    labels = torch.arange(40) % 4
    assert not torch.equal(balanced_order(labels), balanced_order(labels))


@pytest.mark.parametrize("rule", ["none", "weights", "sampler"])
def test_the_recipe_chooses(rule):
    config = load_config("shapes", [f"data.class_balance={rule}"])
    labels = torch.tensor([0] * 30 + [1] * 2)
    weights = loss_weights(config, labels, 2)
    torch.manual_seed(0)
    rare = int((labels[epoch_order(config, labels)] == 1).sum())
    assert (weights is None) == (rule != "weights")
    assert rare == (16 if rule == "sampler" else 2)
