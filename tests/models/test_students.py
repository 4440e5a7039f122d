"""What every shipped student promises."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from pointcmt.checkpoint import ModelConfig, load_student, save_student
from pointcmt.errors import InputError
from pointcmt.models import STUDENTS, Student, create_student
from pointcmt.models.student import Size
from pointcmt.ops import native

CLASSES = 5
POINTS = 48
PAGE = Path(__file__).parents[2] / "docs" / "students.md"
EVERY = pytest.mark.parametrize("name", sorted(STUDENTS))


def small(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return create_student(name, CLASSES, **{"width": 0.25, **STUDENTS[name].SMALL, **options})


def clouds(batch: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, POINTS, channels, generator=torch.Generator().manual_seed(seed)) / 5


def stir_statistics(student: torch.nn.Module) -> None:
    """Give every batch norm statistics and an affine map of its own, negative scales too."""
    generator = torch.Generator().manual_seed(1)
    for module in student.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.get_buffer("running_mean"), 0, 0.3, generator=generator)
            torch.nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2, generator=generator)
            torch.nn.init.normal_(module.weight, 0.5, 1, generator=generator)
            torch.nn.init.normal_(module.bias, 0, 0.3, generator=generator)


@EVERY
def test_every_student_keeps_the_protocol(name: str) -> None:
    student = small(name)
    assert isinstance(student.classifier, torch.nn.Linear)
    assert isinstance(student, Student)
    assert (student.num_classes, student.feature_dim) == (CLASSES, 512)
    assert student.min_points <= POINTS


@EVERY
@pytest.mark.parametrize("head", ["pointcmt", "original"])
def test_forward_is_classify_after_encode(name: str, head: str) -> None:
    student = small(name, head=head).eval()
    features = student.encode(clouds(2))
    assert features.shape == (2, student.feature_dim)
    logits = student(clouds(2))
    assert logits.shape == (2, CLASSES)
    torch.testing.assert_close(logits, student.classify(features))


@EVERY
def test_prediction_of_a_cloud_does_not_depend_on_its_batch(name: str) -> None:
    student = small(name).eval()
    stir_statistics(student)
    together = student(clouds(3))
    alone = torch.cat([student(cloud[None]) for cloud in clouds(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


class NearestInBall:
    """A ball query whose answer does not hang on the order of the points: the nearest k."""

    @staticmethod
    def ball_query(xyz: torch.Tensor, centers: torch.Tensor, radius: float, k: int) -> torch.Tensor:
        distance = torch.cdist(centers, xyz)
        found = distance.argsort(2)[..., :k]
        outside = distance.gather(2, found) >= radius
        found = torch.where(outside, found[..., :1], found)
        return torch.cat((found, found[..., :1].expand(-1, -1, k - found.shape[2])), 2)

    def __getattr__(self, op: str) -> Any:
        return getattr(native, op)


@EVERY
def test_order_of_the_points_does_not_matter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first point stays first: farthest point sampling starts from it."""
    monkeypatch.setattr("pointcmt.ops.registered.serving", lambda device: NearestInBall())
    student = small(name).eval().double()
    stir_statistics(student)
    points = clouds(2).double()
    order = torch.cat((torch.zeros(1, dtype=torch.long), 1 + torch.randperm(POINTS - 1)))
    torch.testing.assert_close(student(points), student(points[:, order]))


@EVERY
def test_gradients_reach_every_parameter(name: str) -> None:
    student = small(name, head="original", channels=6).train()
    student(clouds(4, channels=6)).square().sum().backward()
    for key, parameter in student.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        before_norm = key.endswith("linear.bias")  # a constant that the batch norm takes away
        assert before_norm or parameter.grad.abs().sum() > 0, key


@EVERY
def test_one_feature_has_one_logit_while_training(name: str) -> None:
    features = torch.randn(4, 512, generator=torch.Generator().manual_seed(0))
    student = small(name).train()
    assert torch.equal(student.classify(features), student.classify(features))
    assert small(name, dropout=0.3).dropout.p == 0.3


@EVERY
def test_the_published_head_keeps_its_dropout(name: str) -> None:
    assert 0.4 <= small(name, head="original").dropout.p <= 0.5
    assert small(name, head="original", dropout=0.0).dropout.p == 0


@EVERY
def test_a_few_steps_fit_a_batch(name: str) -> None:
    student = small(name).train()
    points, labels = clouds(CLASSES), torch.arange(CLASSES)
    optimiser = torch.optim.Adam(student.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = torch.nn.functional.cross_entropy(student(points), labels)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@EVERY
def test_half_precision_changes_logits_and_gradients_little(name: str) -> None:
    student = small(name).train()
    points, labels = clouds(4 * CLASSES), torch.arange(CLASSES).repeat(4)
    found = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = student(points).float()
        loss = torch.nn.functional.cross_entropy(logits, labels)
        gradients = torch.autograd.grad(loss, list(student.parameters()), allow_unused=True)
        found.append((logits, torch.cat([g.flatten() for g in gradients if g is not None])))
    (exact, gradient), (rounded, other) = found
    assert (rounded - exact).norm() < 0.25 * exact.norm()
    assert torch.cosine_similarity(gradient, other, dim=0) > 0.7


@EVERY
def test_extra_channels_are_read(name: str) -> None:
    student = small(name, channels=6).eval()
    points = clouds(2, channels=6)
    changed = points.clone()
    changed[..., 5] += 1
    assert not torch.allclose(student(points), student(changed))
    with pytest.raises(ValueError, match=r"\(B, N, 6\).*got \(2, 48, 3\)"):
        student(points[..., :3])


@EVERY
def test_wrong_points_are_refused_with_a_reason(name: str) -> None:
    student = small(name)
    with pytest.raises(ValueError, match=r"\(B, N, 3\).*got \(48, 3\)"):
        student(clouds(1)[0])
    with pytest.raises(TypeError, match="floating point, got"):
        student(torch.zeros(2, POINTS, 3, dtype=torch.long))
    if student.min_points > 1:
        few = student.min_points - 1
        with pytest.raises(ValueError, match=f"at least {few + 1} points .* got {few}"):
            student(clouds(2)[:, :few])


@EVERY
@pytest.mark.parametrize("points", [64, 200])
def test_any_number_of_points_from_the_least_is_taken(name: str, points: int) -> None:
    student = small(name).eval()
    for count in (student.min_points, points):
        assert student(torch.rand(1, count, 3)).isfinite().all()


@EVERY
def test_coinciding_points_give_finite_logits_and_gradients(name: str) -> None:
    student = small(name).train()
    student(torch.cat((clouds(2), torch.zeros(1, POINTS, 3)))).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in student.parameters())


SIZES = [(name, size) for name, student in STUDENTS.items() for size in student.SIZES]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_parameter_counts_are_those_stated(name: str, size: Size) -> None:
    student = create_student(name, size.classes, **size.options)
    count = sum(p.numel() for p in student.parameters())
    assert count == size.parameters
    assert not size.published or math.isclose(count / 1e6, size.published, rel_tol=0.006)


@EVERY
def test_the_page_has_its_row_with_its_parameters(name: str) -> None:
    own, original = (
        sum(p.numel() for p in create_student(name, 40, head=head).parameters()) / 1e6
        for head in ("pointcmt", "original")
    )
    row = rf"^\| `{name}` \|[^|]*\| {own:.2f}M \| {original:.2f}M \|"
    assert re.search(row, PAGE.read_text(), re.MULTILINE)


@EVERY
def test_a_model_folder_gives_back_the_student(name: str, tmp_path: Path) -> None:
    student = small(name).eval()
    stir_statistics(student)
    options = {"width": 0.25, **STUDENTS[name].SMALL}
    config = ModelConfig(name, options, tuple("abcde"), POINTS)
    loaded, read = load_student(save_student(tmp_path / "model", student, config))
    assert read.student == name
    assert torch.equal(loaded(clouds(2)), student(clouds(2)))


def test_half_width_makes_a_small_student() -> None:
    student = create_student("pointnet2-ssg", 40, width=0.5)
    assert sum(p.numel() for p in student.parameters()) == 486_600
    assert student.feature_dim == 512


def test_feature_length_can_be_chosen() -> None:
    assert small("pointnet2-ssg", feature_dim=96).encode(clouds(2)).shape == (2, 96)


def test_unknown_student_is_refused_with_the_names_and_the_nearest() -> None:
    with pytest.raises(InputError, match="use 'pointnet2-ssg', or one of ") as error:
        create_student("pointnet2-sgg", 40)
    assert all(name in str(error.value) for name in STUDENTS)


def test_unknown_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="no option 'widht': use 'width'"):
        create_student("dgcnn", 40, widht=2)


@pytest.mark.parametrize(
    "options", [{"head": "long"}, {"channels": 2}, {"centres": (512,)}, {"neighbours": ((16,),)}]
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="'pointnet2-ssg' cannot be built"):
        create_student("pointnet2-ssg", 40, **options)


@pytest.mark.parametrize("stages", range(1, 5))
@pytest.mark.parametrize("name", ["pointmlp", "pointmlp-elite"])
def test_a_pointmlp_has_one_to_four_stages(name: str, stages: int) -> None:
    student = small(name, centres=(32, 24, 16, 8)[:stages]).eval()
    assert student(clouds(2)).shape == (2, CLASSES)


@pytest.mark.parametrize("centres", [(), (32, 24, 16, 8, 4)])
def test_a_pointmlp_has_no_more_stages_and_no_fewer(centres: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="must be one to four stages"):
        small("pointmlp", centres=centres)
