"""The students once more, as plainly as public ports write them: oracle and yardstick.

Distance matrices, sampling in a Python loop, ball queries by sorting, shared MLPs as 1x1
convolutions over channels-first tensors, everything grouped before the first layer. Nothing is
shared with the package; weights are copied over in the order of the parameters.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.plain_students.dgcnn import DGCNN
from benchmarks.plain_students.pointmlp import PointMLP
from benchmarks.plain_students.pointnet import PointNet
from benchmarks.plain_students.pointnet2 import PointNet2
from benchmarks.plain_students.pointnext import PointNeXt
from benchmarks.plain_students.rscnn import RSCNN

PORTS: dict[str, Callable[[Any], nn.Module]] = {
    "pointnet": PointNet,
    "pointnet2-ssg": PointNet2,
    "pointnet2-msg": PointNet2,
    "dgcnn": DGCNN,
    "rscnn": RSCNN,
    "pointmlp": PointMLP,
    "pointmlp-elite": PointMLP,
    "pointnext-s": PointNeXt,
}


def plain_port(name: str, student: Any) -> nn.Module:
    """Return the plain port of a student, with its sizes and its weights."""
    port = PORTS[name](student).to(next(student.parameters()).dtype).train(student.training)
    with torch.no_grad():
        for own, copied in zip(student.parameters(), port.parameters(), strict=True):
            copied.copy_(own.view(copied.shape))
        for own, buffer in zip(student.buffers(), port.buffers(), strict=True):
            buffer.copy_(own)
    return port


def own_gradients(student: Any) -> list[Tensor]:
    """Return the gradients of a student or port, flat, in the order of the parameters."""
    return [p.grad.flatten() for p in student.parameters()]
