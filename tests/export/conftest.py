"""Small models, and one export that many tests share."""

from pathlib import Path

import pytest

from pointcmt_export.convert.to_onnx import Converted, set_metadata
from pointcmt_export.exporter import convert, export, metadata
from pointcmt_export.options import Options
from pointcmt_export.report import Report
from pointcmt_export.source import open_source
from pointcmt_export.verify.gate import Expectation
from tests.reference.small_students import GRID, small_model


@pytest.fixture(scope="session")
def ssg_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a small PointNet++."""
    return small_model(tmp_path_factory.mktemp("ssg") / "model", "pointnet2-ssg")


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a small PointNet, which samples no points and is converted sooner."""
    return small_model(tmp_path_factory.mktemp("plain") / "model", "pointnet")


@pytest.fixture(scope="session")
def converted(ssg_folder: Path) -> tuple[Converted, Expectation]:
    """The small PointNet++ as the exporter converts it, and what the file must be."""
    source = open_source(ssg_folder)
    graph, expected = convert(source, Options(grid=GRID))
    set_metadata(graph.model, metadata(source, graph, Options()))
    return graph, expected


@pytest.fixture(scope="session")
def ssg_export(ssg_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """Its export, with the report that came back."""
    out = tmp_path_factory.mktemp("ssg-export") / "out"
    return out, export(ssg_folder, out, Options(grid=GRID))
