"""A student is run once before training: what cannot be run is said in a sentence."""

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from pointcmt.errors import InputError
from pointcmt.models.student import Student
from pointcmt_training.trial import require_running


class Own(nn.Module):
    """A student with a mistake of choice."""

    min_points = 1

    def __init__(self, mistake: str = "") -> None:
        super().__init__()
        self.mistake, self.num_classes, self.feature_dim = mistake, 5, 8
        self.layer, self.classifier = nn.Linear(3, 8), nn.Linear(8, 5)

    def encode(self, points: Tensor) -> Tensor:
        if self.mistake == "raises":
            raise RuntimeError("broken")
        each = self.layer(points.mul_(2))
        if self.mistake == "half":
            return each.amax(1).half()
        return each if self.mistake == "points" else each.amax(1)

    def classify(self, features: Tensor) -> Tensor:
        logits: Any = self.classifier(features.float())
        return logits[:, :2] if self.mistake == "logits" else logits.clone()

    def forward(self, points: Tensor) -> Tensor:
        if self.mistake == "forward":
            raise NotImplementedError
        logits = self.classify(self.encode(points))
        if self.mistake == "random":
            return logits + torch.rand(())
        return logits.log_softmax(1) if self.mistake == "whole" else logits


def tried(mistake: str) -> None:
    require_running(cast(Student, Own(mistake)), "my:Own", torch.rand(2, 20, 3))


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("raises", r"RuntimeError: broken"),
        ("points", r"encode gives \(2, 20, 8\), not \(2, 8\)"),
        ("logits", r"classify gives \(2, 2\), not \(2, 5\)"),
        ("forward", r"NotImplementedError"),
        ("half", r"encode gives float16, not float32"),
    ],
)
def test_a_mistake_is_said(mistake: str, words: str) -> None:
    tried("")
    with pytest.raises(InputError, match=rf"student 'my:Own': cannot be run \({words}"):
        tried(mistake)


def test_what_is_trained_is_what_answers() -> None:
    with pytest.raises(InputError, match=r"'my:Own': forward\(points\) gives other logits than"):
        tried("whole")
    tried("random")  # one that samples anew in each call cannot be compared


def test_the_clouds_stay_as_they_are_whatever_a_student_does_to_its_input() -> None:
    clouds = torch.rand(2, 20, 3)
    before = clouds.clone()
    require_running(cast(Student, Own()), "my:Own", clouds)
    assert torch.equal(clouds, before)
