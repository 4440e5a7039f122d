"""Each source: its published computation on random weights equals what we import of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pointcmt.checkpoint import ModelConfig, load_student
from pointcmt.importers.sources import import_checkpoint
from tests.reference.published_dgcnn import dgcnn_logits, dgcnn_state
from tests.reference.published_pointmlp import pointmlp_logits, pointmlp_state
from tests.reference.published_pointnet2 import (
    erikwijmans_logits,
    erikwijmans_state,
    yanx27_logits,
    yanx27_state,
)
from tests.reference.published_rscnn import rscnn_logits, rscnn_state

Import = Callable[..., tuple[Any, ModelConfig]]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """Save what a public script would have saved, import it, return the float64 student."""

    def run(saved: Any, source: str, *, legacy: bool = False, **options: Any) -> Any:
        file = tmp_path / "weights.pth"
        torch.save(saved, file, _use_new_zipfile_serialization=not legacy)
        student, config = load_student(
            import_checkpoint(file, source, tmp_path / "model", **options)
        )
        return student.double(), config

    return run


def cloud(points: int, channels: int = 3, batch: int = 2) -> Tensor:
    """Points on a bent sheet, so that balls are unevenly filled as on real surfaces."""
    random = torch.Generator().manual_seed(1)
    uv = 2 * torch.rand(batch, points, 2, generator=random, dtype=torch.float64) - 1
    xyz = torch.cat((uv, (uv.square().sum(2, keepdim=True) - 0.6)), dim=2) * 0.6
    rest = torch.randn(batch, points, channels - 3, generator=random, dtype=torch.float64)
    return torch.cat((xyz, rest), dim=2).float().double()


def assert_same(student: Any, points: Tensor, expected: Tensor) -> None:
    with torch.no_grad():
        logits = student(points)
    assert expected.std() > 0.1  # the weights must not make all clouds and classes alike
    torch.testing.assert_close(logits, expected, rtol=1e-8, atol=1e-8)


def behind(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: tensor for key, tensor in state.items()}


@pytest.mark.parametrize("normals", [False, True], ids=["xyz", "normals"])
@pytest.mark.parametrize("multi", [False, True], ids=["ssg", "msg"])
def test_pointnet2_of_yanx27(imported: Import, multi: bool, normals: bool) -> None:
    state = yanx27_state(multi=multi, normals=normals, classes=10)
    student, config = imported({"epoch": 3, "model_state_dict": state}, "pointnet2-yanx27")
    assert config.student == ("pointnet2-msg" if multi else "pointnet2-ssg")
    assert config.classes[:2] == ("bathtub", "bed")
    points = cloud(520, 6 if normals else 3, batch=1)
    assert_same(student, points, yanx27_logits(state, points, multi=multi))


@pytest.mark.parametrize("style", ["v1", "v2", "v3"])
@pytest.mark.parametrize("multi", [False, True], ids=["ssg", "msg"])
def test_pointnet2_of_erikwijmans(imported: Import, multi: bool, style: str) -> None:
    extra = 3 if style == "v3" else 0
    state = erikwijmans_state(style, multi=multi, extra=extra, classes=40)
    saved = {"state_dict": state} if style == "v3" else {"model_state": behind("module.", state)}
    student, config = imported(saved, "pointnet2-erikwijmans")
    assert config.classes[39] == "xbox"
    points = cloud(520, 3 + extra, batch=1)
    assert_same(student, points, erikwijmans_logits(state, points, style, multi=multi))


def test_released_pointcmt(imported: Import) -> None:
    state = erikwijmans_state("release", multi=True, extra=0, classes=40)
    saved = {"cfg": {"seed": 1}, "model_state": behind("module.model.", state)}
    student, _ = imported(saved, "pointcmt-released")
    assert sum(p.numel() for p in student.parameters()) == 1_621_512
    points = cloud(520, batch=1)
    assert_same(student, points, erikwijmans_logits(state, points, "release", multi=True))


@pytest.mark.parametrize("source", ["dgcnn-wangyue", "dgcnn-antao97"])
def test_dgcnn(imported: Import, source: str) -> None:
    state = dgcnn_state(classes=40)
    student, _ = imported(behind("module.", state), source, legacy=True)
    points = cloud(150)
    assert_same(student, points, dgcnn_logits(state, points, k=20))


def test_dgcnn_with_other_neighbours(imported: Import) -> None:
    state = dgcnn_state(classes=40)
    student, config = imported(state, "dgcnn-antao97", points=2048, options={"k": 40})
    assert config.points == 2048
    points = cloud(150)
    assert_same(student, points, dgcnn_logits(state, points, k=40))


@pytest.mark.parametrize("extra", [0, 3])
def test_rscnn(imported: Import, extra: int) -> None:
    state = rscnn_state(classes=40, extra=extra)
    student, _ = imported(state, "rscnn-yochengliu", legacy=True)
    points = cloud(520, 3 + extra, batch=1)
    assert_same(student, points, rscnn_logits(state, points))


@pytest.mark.parametrize(("light", "classes"), [(False, 40), (True, 15)], ids=["full", "elite"])
def test_pointmlp(imported: Import, light: bool, classes: int) -> None:
    state = pointmlp_state(light=light, classes=classes)
    saved = {"net": behind("module.", state), "epoch": 1, "acc": 94.1}
    student, config = imported(saved, "pointmlp-maxu")
    assert config.student == ("pointmlp-elite" if light else "pointmlp")
    assert config.normalization == ("none" if light else "unit-sphere")
    points = cloud(520, batch=1)
    assert_same(student, points, pointmlp_logits(state, points, light=light))
