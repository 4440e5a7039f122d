"""Students under torch.compile: one whole graph, the same logits and gradients."""

import copy
from typing import Any

import pytest
import torch

from pointcmt.models import STUDENTS, create_student

AOT = [("pointnet2-ssg", "aot_eager"), ("dgcnn", "aot_eager")]  # the gradients of our own
ALIKE = {"pointnet2-msg", "pointmlp"}  # what they do is in SSG and in PointMLP elite
EAGER = [(name, "eager") for name in sorted({*STUDENTS} - {name for name, _ in AOT} - ALIKE)]


@pytest.mark.parametrize(("name", "backend"), EAGER + AOT)
def test_compiled_training_equals_eager(name: str, backend: str) -> None:
    """Backends that run the traced graphs as they are: what is tested is the tracing."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    student: Any = create_student(name, 5, width=0.125, dropout=0.0, **STUDENTS[name].SMALL)
    student.double()
    twin = copy.deepcopy(student)
    points = torch.randn(4, 48, 3).double() / 5
    logits = student(points)
    traced: Any = torch.compile(twin, backend=backend, fullgraph=True)
    compiled = traced(points)
    torch.testing.assert_close(logits, compiled)
    torch.autograd.backward([logits.square().sum(), compiled.square().sum()])
    for own, other in zip(student.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-6, atol=1e-9)
