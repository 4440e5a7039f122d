"""Small students that look trained, for tests that export them."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pointcmt.checkpoint import ModelConfig, save_student
from pointcmt.data import SHAPES_CLASSES
from pointcmt.models import STUDENTS, Student, create_student
from pointcmt_export.options import Grid

CLASSES = ("cone", "cube", "tube", "vase", "bowl")
POINTS = 48
EACH_NETWORK = sorted({*STUDENTS} - {"pointnet2-ssg", "pointmlp"})  # those have larger siblings
GRID = Grid(batches=(1, 3), points=(40, 64))


def unsettle(module: nn.Module) -> None:
    """Give batch norms statistics and weights as after training, some of them negative."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean = torch.randn_like(part.bias) / 4
            part.running_var = torch.rand_like(part.bias) + 0.5
            nn.init.uniform_(part.weight, -0.5, 1.5)
            nn.init.normal_(part.bias, std=0.2)


def small_options(name: str, **options: Any) -> dict[str, Any]:
    return {"width": 0.125, "feature_dim": 32, **STUDENTS[name].SMALL, **options}


def small_student(name: str, seed: int = 0, **options: Any) -> Student:
    torch.manual_seed(seed)
    student = create_student(name, len(CLASSES), **small_options(name, **options))
    assert isinstance(student, nn.Module)
    unsettle(student)
    student.eval()
    return student


def small_config(name: str, **options: Any) -> ModelConfig:
    return ModelConfig(
        name, small_options(name, **options), CLASSES, POINTS, provenance={"seed": 0}
    )


def small_model(folder: Path, name: str, seed: int = 0, **options: Any) -> Path:
    return save_student(folder, small_student(name, seed, **options), small_config(name, **options))


def small_shapes_model(folder: Path) -> Path:
    """Save a small PointNet for the embedded shapes, which have training clouds."""
    torch.manual_seed(0)
    options = small_options("pointnet", width=0.5)
    student = create_student("pointnet", len(SHAPES_CLASSES), **options)
    assert isinstance(student, nn.Module)
    unsettle(student)
    config = ModelConfig("pointnet", options, SHAPES_CLASSES, POINTS)
    return save_student(folder, student.eval(), config)
