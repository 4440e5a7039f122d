"""Students under torch.compile: one whole graph, the same logits and gradients."""

import copy
from typing import Any

import pytest
import torch

from pointcmt.models import create_student

CASES: list[tuple[str, dict[str, Any]]] = [
    ("pointnet2-ssg", {"centres": (24, 8)}),
    ("dgcnn", {"k": 8}),
    ("rscnn", {"centres": (24, 8)}),
    ("pointmlp-elite", {"centres": (24, 16, 8, 4), "k": 4}),
    ("pointnext-s", {"centres": (24, 16, 8, 4)}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_compiled_training_equals_eager(name: str, options: dict[str, Any]) -> None:
    """The backend that runs the traced graphs as they are: what is tested is the tracing."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    student: Any = create_student(name, 5, width=0.25, dropout=0.0, **options)
    student.double()
    twin = copy.deepcopy(student)
    points = torch.randn(4, 48, 3).double() / 5
    logits = student(points)
    traced: Any = torch.compile(twin, backend="aot_eager", fullgraph=True)
    compiled = traced(points)
    torch.testing.assert_close(logits, compiled)
    torch.autograd.backward([logits.square().sum(), compiled.square().sum()])
    for own, other in zip(student.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-6, atol=1e-9)
