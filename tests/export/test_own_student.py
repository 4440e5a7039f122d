"""A user's own student takes the plain path: written as it is, and proved like the others."""

import importlib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pointcmt.checkpoint import ModelConfig, load_student, save_student
from pointcmt.errors import InputError
from pointcmt.models import create_student
from pointcmt.ops import ball_query, farthest_point_sample, knn
from pointcmt_export.convert.networks import has_own_network
from pointcmt_export.exporter import export
from pointcmt_export.options import Options
from tests.reference.small_students import CLASSES, GRID, POINTS, unsettle


class Own(nn.Module):
    """Convolutions on channels first, with the ops of `pointcmt.ops` called by name."""

    min_points = 16

    def __init__(self, num_classes: int, feature_dim: int = 24) -> None:
        super().__init__()
        self.num_classes, self.feature_dim = num_classes, feature_dim
        self.lift = nn.Sequential(nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.ReLU())
        self.mix = nn.Linear(16, feature_dim)
        self.classifier = nn.Linear(feature_dim, num_classes)

    def encode(self, points: Tensor) -> Tensor:
        chosen = farthest_point_sample(points, 16)  # (B, 16)
        centres = points.gather(1, chosen[..., None].expand(-1, -1, 3))
        near = torch.cat([ball_query(points, centres, 0.4, 4), knn(centres, points, 4)], 2)
        values = self.lift(points.transpose(1, 2)).transpose(1, 2)  # (B, N, 16)
        index = near.flatten(1)[..., None].expand(-1, -1, 16)
        grouped = values.gather(1, index).unflatten(1, (16, 8)).amax(2)  # (B, 16, 16)
        around = knn(centres, centres, 3)[:, :, 2:].expand(-1, -1, 16)  # among sampled points
        return torch.relu(self.mix(grouped + grouped.gather(1, around))).amax(1)

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier(features)
        return logits

    def forward(self, points: Tensor) -> Tensor:
        return self.classify(self.encode(points))


class Unknown(Own):
    """Calls something that ONNX has no word for."""

    def classify(self, features: Tensor) -> Tensor:
        return super().classify(torch.special.bessel_j0(features))


class Decomposed(Own):
    """Calls what ONNX knows only in parts, one of them in place of its input."""

    def encode(self, points: Tensor) -> Tensor:
        features = super().encode(points)
        before = features.view(-1)
        features.add_(features.square())
        return before.view_as(features) - features * 0.5


class Static(Own):
    """Counts its points in Python, so that their number becomes a constant."""

    def encode(self, points: Tensor) -> Tensor:
        return super().encode(points) * float(points.shape[1])


def saved(kind: type[Own], folder: Path) -> Path:
    torch.manual_seed(0)
    name = f"{__name__}:{kind.__name__}"
    student = create_student(name, len(CLASSES))
    assert isinstance(student, nn.Module)
    unsettle(student)
    student.eval()
    return save_student(folder, student, ModelConfig(name, {}, CLASSES, POINTS))


ALLOWED = tuple(f"{__name__}:{kind.__name__}" for kind in (Own, Unknown, Decomposed, Static))


def test_the_folders_word_alone_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = saved(Own, tmp_path / "model")
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(f"imported {name}"))
    for allow in ((), (f"{__name__}:Static",)):
        with pytest.raises(InputError, match=r"allow it with --allow-code .*:Own, or load_student"):
            export(model, tmp_path / "out", Options(grid=GRID, allow=allow))
        with pytest.raises(InputError, match="which is code"):
            load_student(model, allow)


@pytest.mark.parametrize("sampling", ["graph", "host"])
def test_it_is_exported_and_verified(sampling: str, tmp_path: Path) -> None:
    model = saved(Own, tmp_path / "model")
    report = export(model, tmp_path / "out", Options(sampling=sampling, grid=GRID, allow=ALLOWED))  # type: ignore[arg-type]
    assert report.status == "passed"
    structure = next(check for check in report.checks if check.name == "structure")
    assert "student.lift.0.weight" in structure.figures["sha256"]
    indices = next(check for check in report.checks if check.name == "indices")
    assert indices.figures["must_be_equal"] == [
        "ball_query_0",
        "farthest_point_sample_0",
        "knn_0",
        "knn_1",
    ]


def test_operators_without_a_counterpart_are_taken_apart(tmp_path: Path) -> None:
    model = saved(Decomposed, tmp_path / "model")
    report = export(model, tmp_path / "out", Options(sampling="host", grid=GRID, allow=ALLOWED))
    assert report.status == "passed"


def test_it_cannot_be_half_precision(tmp_path: Path) -> None:
    model = saved(Own, tmp_path / "model")
    assert not has_own_network(create_student(f"{__name__}:Own", 3))
    with pytest.raises(InputError, match="no deployable network of its own"):
        export(model, tmp_path / "out", Options(precision="fp16", grid=GRID, allow=ALLOWED))


def test_an_operator_without_a_counterpart_is_named(tmp_path: Path) -> None:
    model = saved(Unknown, tmp_path / "model")
    with pytest.raises(InputError, match="bessel_j0"):
        export(model, tmp_path / "out", Options(sampling="host", grid=GRID, allow=ALLOWED))
    assert not (tmp_path / "out").exists()


def test_a_fixed_number_of_points_is_refused(tmp_path: Path) -> None:
    model = saved(Static, tmp_path / "model")
    with pytest.raises(InputError, match="points"):
        export(model, tmp_path / "out", Options(grid=GRID, allow=ALLOWED))
