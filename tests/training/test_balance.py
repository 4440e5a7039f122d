"""PointCMT's steadied form: shares of the gradient, warm-up, supervision, softened logits."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor, nn

from pointcmt.errors import InputError
from pointcmt_training.distillation.balance import at_share
from pointcmt_training.distillation.hinton import Hinton
from pointcmt_training.distillation.method import Batch, Images
from pointcmt_training.distillation.pointcmt import PointCMT
from pointcmt_training.recipe import load_config

B, U, D, C, N = 6, 4, 8, 5, 12


class Decoder(nn.Module):
    """One matrix, read as points."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(D, 3 * N, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        return (features @ self.matrix).reshape(-1, N, 3)


class Step:
    """B labelled and U unlabelled features of both networks."""

    def __init__(self, copies: int = 1) -> None:
        torch.manual_seed(7)
        self.student, self.teacher = nn.Linear(D, C).double(), nn.Linear(D, C).double()
        rows = torch.randn(B + U, D, dtype=torch.float64)
        image = 3 * torch.randn(B + U, D, dtype=torch.float64)
        self.features = rows.repeat(copies, 1).requires_grad_()
        self.images = Images(self.teacher, Decoder(), image.repeat(copies, 1))
        logits, labels = self.student(self.features), torch.arange(B) % C
        entropy = nn.functional.cross_entropy(logits[:B], labels)
        self.batch = Batch(
            *(self.features, logits, self.images.features, labels, self.student, entropy), 0.2
        )

    def parts(self, progress: float = 1.0, **options: Any) -> dict[str, Tensor]:
        zero = {"feature": 0.0, "classifier": 0.0}
        loss = PointCMT(**{**zero, **options}).loss(self.images)
        return dict(loss(dataclasses.replace(self.batch, progress=progress)))

    def gradient(self, loss: Tensor) -> Tensor:
        (found,) = torch.autograd.grad(loss, self.features, retain_graph=True)
        return found


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("key", ["feature", "classifier"])
@pytest.mark.parametrize("reduction", ["sum", "batchmean"])
def test_a_share_holds_whatever_the_batch_and_the_reduction(
    key: str, reduction: str, copies: int
) -> None:
    step = Step(copies)
    parts = step.parts(balance="share", reduction=reduction, **{key: 0.3})
    wanted = 0.3 * step.gradient(step.batch.cross_entropy).norm()
    torch.testing.assert_close(step.gradient(parts[key]).norm(), wanted)


def test_a_share_changes_the_length_of_a_gradient_and_not_its_direction() -> None:
    step = Step()
    plain = step.parts(classifier=1.0)["classifier"]
    sized = at_share(plain, step.batch.cross_entropy, step.features, 0.5)
    one, other = step.gradient(plain), step.gradient(sized)
    torch.testing.assert_close(one / one.norm(), other / other.norm())


def test_a_loss_that_is_spent_stays_finite() -> None:
    step = Step()
    spent = (step.features - step.features.detach()).square().sum()
    sized = at_share(spent, step.batch.cross_entropy, step.features, 0.5)
    assert step.gradient(sized).isfinite().all()


@pytest.mark.parametrize(("progress", "grown"), [(0.1, 0.25), (0.4, 1.0), (1.0, 1.0)])
def test_both_enhancements_grow_over_the_warmup(progress: float, grown: float) -> None:
    step, options = Step(), {"feature": 2.0, "classifier": 3.0}
    whole, warming = step.parts(**options), step.parts(progress, warmup=0.4, **options)
    for key, part in whole.items():
        torch.testing.assert_close(warming[key], grown * part)


def test_supervision_is_the_cross_entropy_of_the_labelled_images_alone() -> None:
    step = Step()
    found = step.parts(supervise=0.7)["supervision"]
    logits = step.student(step.images.features[:B]).detach().numpy()
    target = np.full((B, C), 0.2 / C)
    target[np.arange(B), np.arange(B) % C] += 0.8
    assert found.item() == pytest.approx(-0.7 * (target * log_softmax(logits, 1)).sum() / B)
    found.backward()
    assert step.features.grad is None
    assert step.student.weight.grad is not None


def test_softened_logits_are_hintons_and_reach_the_unlabelled_clouds() -> None:
    step = Step()
    found = step.parts(logits=0.4, temperature=2.0)["distillation"]
    [other] = Hinton(weight=0.4, temperature=2.0).loss(step.images)(step.batch).values()
    torch.testing.assert_close(found, other)
    assert (step.gradient(found).abs().sum(1) > 0).all()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("distillation.feature=11", "feature=11.*at most 10.*share"),
        ("distillation.warmup=1.5", "warmup=1.5"),
        ("distillation.supervise=-1", "supervise=-1"),
        ("distillation.balance=half", "balance='half'"),
        ("distillation.temperature=0", "temperature=0"),
        ("distillation.temperature=1e308", "temperature=1e.308: .* 1000"),
        ("data.unlabelled_batch=0", "unlabelled_batch=0"),
    ],
)
def test_what_is_out_of_range_is_refused(override: str, sentence: str) -> None:
    options = ["distillation.balance=share", "distillation.feature=1.0", override]
    with pytest.raises(InputError, match=sentence) as error:
        load_config("modelnet40", options)
    assert "\n" not in str(error.value)
