"""PointCMT's losses against independent computations in numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import rel_entr, softmax
from torch import Tensor, nn

from pointcmt import losses
from pointcmt.teacher.generator import PointGenerator


@pytest.fixture
def features() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(6, 16, generator=generator), torch.randn(6, 16, generator=generator)


@pytest.fixture
def generator() -> PointGenerator:
    torch.manual_seed(0)
    return PointGenerator(16, points=20).eval().requires_grad_(False)


def test_unit_box_centres_the_box_and_makes_its_longest_side_one() -> None:
    boxed = losses.unit_box(torch.rand(4, 50, 3) * torch.tensor([1.0, 5.0, 2.0]) + 7)
    low, high = boxed.amin(1), boxed.amax(1)
    torch.testing.assert_close(low + high, torch.zeros(4, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close((high - low).amax(1), torch.ones(4))


def test_unit_box_forgets_translation_and_size() -> None:
    cloud = torch.rand(2, 30, 3)
    torch.testing.assert_close(losses.unit_box(3 * cloud - 5), losses.unit_box(cloud))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_cloud_without_extent_gives_finite_zeros_and_gradients(dtype: torch.dtype) -> None:
    cloud = torch.ones(1, 5, 3, dtype=dtype, requires_grad=True)
    boxed = losses.unit_box(cloud)
    assert not boxed.any()
    boxed.sum().backward()
    assert torch.isfinite(cloud.grad).all()


def test_feature_enhancement_is_the_mean_distance_under_scipys_matching(
    features: tuple[Tensor, Tensor], generator: PointGenerator
) -> None:
    boxes = [losses.unit_box(generator(f)).double().numpy() for f in features]
    expected = []
    for one, other in zip(*boxes, strict=True):
        cost = cdist(one, other)
        expected.append(cost[linear_sum_assignment(cost)].mean())
    found = losses.feature_enhancement(generator, *features)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)


def test_feature_enhancement_of_equal_features_is_zero_with_finite_gradient(
    features: tuple[Tensor, Tensor], generator: PointGenerator
) -> None:
    student = features[0].clone().requires_grad_()
    loss = losses.feature_enhancement(generator, student, features[0])
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(student.grad).all()


def test_feature_enhancement_moves_the_student_towards_the_teacher(
    features: tuple[Tensor, Tensor], generator: PointGenerator
) -> None:
    student = features[0].clone().requires_grad_()
    optimizer = torch.optim.Adam([student], lr=0.05)
    before = float(losses.feature_enhancement(generator, student, features[1]))
    for _ in range(60):
        optimizer.zero_grad()
        losses.feature_enhancement(generator, student, features[1]).backward()
        optimizer.step()
    after = float(losses.feature_enhancement(generator, student, features[1]))
    assert after < 0.8 * before


@pytest.mark.parametrize("reduction", ["sum", "batchmean"])
def test_classifier_enhancement_is_the_divergence_of_eq_7(
    features: tuple[Tensor, Tensor], reduction: losses.Reduction
) -> None:
    classifier = nn.Linear(16, 5)
    with torch.no_grad():
        points, image = classifier(features[0]).double(), classifier(features[1]).double()
    divergence = rel_entr(softmax(image.numpy(), 1), softmax(points.numpy(), 1)).sum()
    found = losses.classifier_enhancement(
        classifier, classifier(features[0]), features[1], reduction
    )
    scale = 1 if reduction == "sum" else len(points)
    assert float(found) == pytest.approx(divergence / scale, rel=1e-4)
