"""Measuring a split: every object once, in order, in evaluation mode."""

import pytest
import torch
from torch import Tensor, nn

from pointcmt_training.evaluate import evaluate, map_batches
from pointcmt_training.stages.student import student_accuracy
from tests.training import made


class Moody(nn.Module):
    """Answers rightly in evaluation mode and wrongly in training mode."""

    def forward(self, indices: Tensor) -> Tensor:
        answer = indices % 3 if not self.training else (indices + 1) % 3
        return nn.functional.one_hot(answer, 3).float()


def test_batches_are_joined_in_order_with_the_last_smaller_one() -> None:
    module, sizes = nn.Linear(1, 1), []

    def function(indices: Tensor) -> Tensor:
        sizes.append(len(indices))
        return indices * 2

    assert map_batches(module, function, 11, batch_size=4).tolist() == list(range(0, 22, 2))
    assert sizes == [4, 4, 3]


def test_evaluation_mode_is_entered_and_left() -> None:
    module, labels = Moody(), torch.arange(100) % 3
    labels[:30] = (labels[:30] + 1) % 3
    for mode in (True, False):
        module.train(mode)
        assert evaluate(module, module, labels, 3).overall == pytest.approx(0.7)
        assert module.training == mode


def test_a_students_accuracy_is_counted_on_plain_clouds_of_the_split() -> None:
    split, student = made.split(20, 5, made.settings().views), made.student(4)
    with torch.no_grad():
        right = [
            int(student(cloud[None]).argmax()) == int(label)
            for cloud, label in zip(split.points, split.labels, strict=True)
        ]
    assert 0 < sum(right) < 20
    measured = student_accuracy(student, split)  # type: ignore[arg-type]
    assert measured.overall == pytest.approx(sum(right) / 20)
