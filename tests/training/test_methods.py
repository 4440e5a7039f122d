"""Every method's losses against its formula written out in numpy, and where their gradients go."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax
from torch import Tensor, nn

from pointcmt_training.distillation import METHODS
from pointcmt_training.distillation.hinton import Hinton
from pointcmt_training.distillation.iekd import InheritanceExploration, trained_encoder
from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.distillation.normalized import NormalizeFirst, NormalizeSecond
from pointcmt_training.distillation.pointcmt import PointCMT
from pointcmt_training.distillation.srrl import SoftmaxRegression

Array = NDArray[np.float64]
B, D, C, N = 6, 8, 5, 12


class Decoder(nn.Module):
    """A generator whose output anyone can compute: one matrix, read as points."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(D, 3 * N))

    def forward(self, features: Tensor) -> Tensor:
        return (features @ self.matrix).reshape(-1, N, 3)


class Problem:
    """One step in float64: two networks' features, both classifiers and the generator."""

    def __init__(self) -> None:
        torch.manual_seed(5)
        self.teacher = nn.Linear(D, C).double()
        self.decoder = Decoder().double()
        self.student = nn.Linear(D, C).double()
        self.features = torch.randn(B, D, dtype=torch.float64, requires_grad=True)
        self.image = 3 * torch.randn(B, D, dtype=torch.float64) + 1
        for frozen in (self.teacher, self.decoder):
            frozen.requires_grad_(False)
        self.images = Images(self.teacher, self.decoder, self.image)

    def loss(self, method: Method) -> Loss:
        return method.loss(self.images).double()

    def batch(self) -> Batch:
        labels = torch.arange(B) % C
        logits = self.student(self.features)
        entropy = nn.functional.cross_entropy(logits, labels)
        return Batch(self.features, logits, self.image, labels, self.student, entropy)

    def arrays(self) -> tuple[Array, Array]:
        return self.features.detach().numpy(), self.image.numpy()


@pytest.fixture
def problem() -> Problem:
    return Problem()


def linear(layer: nn.Linear, values: Array) -> Array:
    return values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def values(parts: dict[str, Tensor]) -> dict[str, float]:
    return {name: part.item() for name, part in parts.items()}


def kl(target: Array, source: Array) -> float:
    """Summed over the batch."""
    logs = log_softmax(target, 1) - log_softmax(source, 1)
    return float((softmax(target, 1) * logs).sum())


def boxed_distance(one: Array, other: Array) -> float:
    """Mean distance of matched points, each cloud's bounding box centred and its side 1."""
    boxes = []
    for cloud in (one, other):
        low, high = cloud.min(0), cloud.max(0)
        boxes.append((cloud - (low + high) / 2) / (high - low).max())
    cost = cdist(*boxes)
    return float(cost[linear_sum_assignment(cost)].mean())


@pytest.mark.parametrize("reduction", ["sum", "batchmean"])
def test_pointcmt_is_eqs_5_and_7_with_their_weights(problem: Problem, reduction: str) -> None:
    points, image = problem.arrays()
    matrix = problem.decoder.matrix.numpy()
    clouds = [(f @ matrix).reshape(-1, N, 3) for f in (points, image)]
    feature = np.mean([boxed_distance(a, b) for a, b in zip(*clouds, strict=True)])
    divergence = kl(linear(problem.student, image), linear(problem.student, points))
    scale = 1 if reduction == "sum" else B
    options = PointCMT(feature=7, classifier=0.6, reduction=reduction)  # type: ignore[arg-type]
    found = values(problem.loss(options)(problem.batch()))
    expected = {"feature": 7 * feature, "classifier": 0.6 * divergence / scale}
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kept", ["feature", "classifier"])
def test_a_weight_of_zero_leaves_an_enhancement_out(problem: Problem, kept: str) -> None:
    options = PointCMT(**{"feature": 0.0, "classifier": 0.0, kept: 1.0})
    assert set(problem.loss(options)(problem.batch())) == {kept}


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_hinton_is_the_softened_divergence_times_its_weight(
    problem: Problem, temperature: float
) -> None:
    points, image = problem.arrays()
    target = linear(problem.teacher, image) / temperature
    source = linear(problem.student, points) / temperature
    expected = 0.7 * temperature**2 * kl(target, source) / B
    loss = problem.loss(Hinton(weight=0.7, temperature=temperature))
    assert values(loss(problem.batch())) == pytest.approx({"distillation": expected})


def test_normalize_1_is_eq_11(problem: Problem) -> None:
    points, image = problem.arrays()
    target = (image - image.mean(0)) / image.std(0, ddof=1) * points.std(0, ddof=1)
    expected = 0.7 * ((points - target - points.mean(0)) ** 2).mean()
    found = problem.loss(NormalizeFirst(weight=0.7))(problem.batch())
    assert values(found) == pytest.approx({"distillation": expected})


def test_normalize_2_is_eq_12(problem: Problem) -> None:
    points, image = problem.arrays()
    norms = [np.linalg.norm(f, axis=1).mean() for f in (points, image)]
    expected = 0.7 * ((points - image / norms[1] * norms[0]) ** 2).mean()
    found = problem.loss(NormalizeSecond(weight=0.7))(problem.batch())
    assert values(found) == pytest.approx({"distillation": expected})


@pytest.mark.parametrize("method", [NormalizeFirst(), NormalizeSecond()])
def test_the_students_statistics_are_constants(problem: Problem, method: Method) -> None:
    """The gradient is that of the MSE alone: 2 (F_pts - target) / (B D)."""
    loss = problem.loss(method)(problem.batch())["distillation"]
    loss.backward()
    points, image = problem.arrays()
    if isinstance(method, NormalizeFirst):
        scaled = (image - image.mean(0)) / image.std(0, ddof=1)
        target = scaled * points.std(0, ddof=1) + points.mean(0)
    else:
        norms = [np.linalg.norm(f, axis=1).mean() for f in (points, image)]
        target = image * norms[0] / norms[1]
    np.testing.assert_allclose(problem.features.grad, 2 * (points - target) / (B * D), rtol=1e-6)


def test_srrl_matches_features_and_the_teachers_logits_behind_the_authors_connector(
    problem: Problem,
) -> None:
    """Linear without bias, batch norm by the batch's own mean and variance, ReLU; two MSEs."""
    loss = problem.loss(SoftmaxRegression(weight=0.7))
    points, image = problem.arrays()
    parts = dict(loss.named_parameters())
    matrix = next(p for p in parts.values() if p.ndim == 2).detach().numpy()
    assert sorted(p.shape for p in parts.values()) == [(D,), (D,), (D, D)]
    mapped = points @ matrix.T
    mapped = (mapped - mapped.mean(0)) / np.sqrt(mapped.var(0) + 1e-5)
    mapped = np.maximum(mapped, 0)
    logits = [linear(problem.teacher, f) for f in (mapped, image)]
    expected = 0.7 * (((mapped - image) ** 2).mean() + ((logits[0] - logits[1]) ** 2).mean())
    assert values(loss(problem.batch())) == pytest.approx({"distillation": expected})


def test_srrls_connector_starts_as_the_authors_does() -> None:
    torch.manual_seed(0)
    images = Images(nn.Linear(256, C), None, torch.zeros(2, 256))
    loss = SoftmaxRegression().loss(images)
    weight = next(p for p in loss.parameters() if p.shape == (256, 256))
    assert weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)


def test_iekd_inherits_with_one_half_and_explores_with_the_other(problem: Problem) -> None:
    loss = problem.loss(InheritanceExploration(weight=0.7))
    points, image = problem.arrays()
    layer: Callable[[str, Array], Array] = lambda name, x: linear(getattr(loss, name), x)  # noqa: E731

    def distance(one: Array, other: Array) -> float:
        units = [f / np.linalg.norm(f, axis=1, keepdims=True) for f in (one, other)]
        return float(np.abs(units[0] - units[1]).mean())

    code = layer("encoder", image)
    expected = {
        "inheritance": 0.7 * distance(layer("inherit", points[:, : D // 2]), code),
        "exploration": -0.7 * distance(layer("explore", points[:, D // 2 :]), code),
    }
    assert values(loss(problem.batch())) == pytest.approx(expected)


def test_iekds_autoencoder_is_trained_beforehand_and_keeps_what_varies() -> None:
    """Features of rank D / 2: the best linear autoencoder loses nothing, an untrained one much."""
    torch.manual_seed(1)
    features = torch.randn(200, D // 2) @ torch.randn(D // 2, D)

    def lost(epochs: int) -> float:
        """Share of the variance that the best decoder of the code cannot give back."""
        code = trained_encoder(features, D // 2 - 1, epochs)(features).detach()
        ones = torch.cat([code, torch.ones(len(code), 1)], dim=1)
        left = features - ones @ torch.linalg.lstsq(ones, features).solution
        return float(left.var() / features.var())

    variances = torch.linalg.svdvals(features - features.mean(0)) ** 2
    least = float(variances[D // 2 - 1] / variances.sum())  # what PCA loses
    assert 0.99 * least < lost(400) < 1.3 * least
    assert lost(1) > 2 * least


def test_iekds_autoencoder_is_frozen_and_leaves_the_global_generator_alone(
    problem: Problem,
) -> None:
    before = torch.random.get_rng_state()
    first, second = (trained_encoder(problem.image, 3, 2) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(before, torch.random.get_rng_state())
    loss = problem.loss(InheritanceExploration())
    parts = loss(problem.batch())
    (parts["inheritance"] + parts["exploration"]).backward()
    trained = {name.split(".")[0] for name, p in loss.named_parameters() if p.requires_grad}
    assert trained == {"inherit", "explore"}


@pytest.mark.parametrize("name", [n for n, method in METHODS.items() if method.uses_images])
def test_every_method_moves_the_student_and_none_the_teacher(problem: Problem, name: str) -> None:
    loss = problem.loss(METHODS[name]())
    torch.stack(list(loss(problem.batch()).values())).sum().backward()
    assert problem.features.grad is not None
    assert problem.features.grad.abs().sum() > 0
    assert problem.image.grad is None
    frozen = [*problem.teacher.parameters(), *problem.decoder.parameters()]
    assert all(p.grad is None for p in frozen)
    own = {id(p) for p in loss.parameters()}
    assert not own & {id(p) for p in frozen}
