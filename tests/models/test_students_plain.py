"""Every student computes what its plain port computes: logits, gradients, running statistics."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.plain_students import plain_port
from pointcmt.models import create_student

SSG = {"centres": (24, 8), "neighbours": ((12,), (16,))}
MSG = {"centres": (24, 8), "neighbours": ((4, 8, 32), (4, 8, 16))}
RSCNN = {"centres": (80, 16)}  # no fewer than the neighbours of the next level
MLP = {"centres": (24, 16, 8, 4), "k": 4}
NEXT = {"centres": (64, 48, 40, 8)}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("pointnet", {}),
    ("pointnet", {"channels": 6, "head": "original"}),
    ("pointnet2-ssg", SSG),
    ("pointnet2-ssg", {**SSG, "channels": 6, "bias": True, "head": "original"}),
    ("pointnet2-msg", MSG),
    ("dgcnn", {"k": 8}),
    ("dgcnn", {"k": 8, "channels": 5, "head": "original"}),
    ("rscnn", RSCNN),
    ("rscnn", {**RSCNN, "channels": 6, "absolute": True, "head": "original"}),
    ("pointmlp", MLP),
    ("pointmlp", {**MLP, "head": "original"}),
    ("pointmlp-elite", MLP),
    ("pointnext-s", NEXT),
    ("pointnext-s", {**NEXT, "channels": 4, "head": "original"}),
]
CASE = pytest.mark.parametrize(("name", "options"), CASES)


def pair(name: str, options: dict[str, Any]) -> tuple[Any, nn.Module]:
    torch.manual_seed(0)
    student: Any = create_student(name, 5, width=0.25, dropout=0.0, **options)
    student.double()
    for module in student.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 0.5)
            nn.init.normal_(module.bias, 0, 0.3)
            nn.init.normal_(module.get_buffer("running_mean"), 0, 0.3)
            nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2)
    return student, plain_port(name, student)


def clouds(student: Any) -> Tensor:
    """Some neighbourhoods overflow, some hold one point."""
    points = torch.randn(4, 96, student.channels).double() / 4
    points[:, ::2, :3] /= 4
    return points


@CASE
def test_logits_in_evaluation(name: str, options: dict[str, Any]) -> None:
    student, port = pair(name, options)
    points = clouds(student)
    student.eval()
    port.eval()
    with torch.no_grad():
        expected = port(points)
        torch.testing.assert_close(student(points), expected)
    torch.testing.assert_close(student(points), expected)


@CASE
def test_logits_gradients_and_statistics_in_training(name: str, options: dict[str, Any]) -> None:
    student, port = pair(name, options)
    points = clouds(student)
    logits, expected = student(points), port(points)
    torch.testing.assert_close(logits, expected)
    weights = torch.randn_like(expected)
    torch.autograd.backward([(logits * weights).sum(), (expected * weights).sum()])
    for (key, own), other in zip(student.named_parameters(), port.parameters(), strict=True):
        assert own.grad is not None
        assert other.grad is not None
        close = torch.allclose(own.grad, other.grad.view(own.shape), rtol=1e-6, atol=1e-8)
        assert close, key
    torch.testing.assert_close(list(student.buffers()), list(port.buffers()))


@CASE
def test_gradients_with_respect_to_the_points(name: str, options: dict[str, Any]) -> None:
    student, port = pair(name, options)
    points = clouds(student).requires_grad_()
    own = torch.autograd.grad(student(points).square().sum(), points)
    expected = torch.autograd.grad(port(points).square().sum(), points)
    torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-8)
