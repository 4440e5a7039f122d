"""Accuracies against a count by hand."""

import math

import pytest
import torch

from pointcmt.metrics import accuracy


def test_the_confusion_matrix_counts_true_rows_and_predicted_columns() -> None:
    predicted, labels = torch.tensor([0, 1, 1, 2, 0]), torch.tensor([0, 0, 1, 2, 2])
    found = accuracy(predicted, labels, 3)
    assert found.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert found.overall == pytest.approx(3 / 5)
    assert found.mean_class == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)


def test_mean_class_accuracy_leaves_out_classes_that_do_not_occur() -> None:
    found = accuracy(torch.tensor([0, 0]), torch.tensor([0, 1]), 5)
    assert found.mean_class == pytest.approx(0.5)


def test_overall_equals_a_loop_on_random_answers() -> None:
    torch.manual_seed(1)
    predicted, labels = torch.randint(0, 7, (500,)), torch.randint(0, 7, (500,))
    right = sum(int(p == t) for p, t in zip(predicted, labels, strict=True))
    assert accuracy(predicted, labels, 7).overall == pytest.approx(right / 500)


def test_nothing_counted_is_not_a_number() -> None:
    empty = torch.zeros(0, dtype=torch.int64)
    assert math.isnan(accuracy(empty, empty, 3).overall)


@pytest.mark.parametrize(
    ("predicted", "labels"),
    [
        (torch.tensor([0, 1]), torch.tensor([0])),
        (torch.tensor([[0]]), torch.tensor([[0]])),
        (torch.tensor([3]), torch.tensor([0])),
        (torch.tensor([0]), torch.tensor([-1])),
    ],
)
def test_wrong_shapes_and_indices_are_refused(
    predicted: torch.Tensor, labels: torch.Tensor
) -> None:
    with pytest.raises(ValueError, match="must"):
        accuracy(predicted, labels, 3)
