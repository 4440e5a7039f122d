from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointcmt.checkpoint import ModelConfig
from pointcmt.models import create_student
from pointcmt_export.model_card import model_card
from pointcmt_export.report import Report
from pointcmt_export.source import Source
from pointcmt_export.verify import Check, Thresholds

CLASSES = ("cone", 'a "b": c', "tube")
ACCURACY = {
    "data": "modelnet40-hdf5-2048/test",
    "artefact": {"oa": 91.234, "macc": 88.5},
    "checkpoint": {"oa": 91.25, "macc": 88.5},
}


@pytest.fixture(scope="module")
def source() -> Source:
    student = create_student("pointnet", len(CLASSES)).eval()
    provenance = {"recipe": "shapes", "seed": 3}
    config = ModelConfig("pointnet", {}, CLASSES, 512, provenance=provenance)
    return Source(Path("x"), "model folder", student, config, ())


@pytest.fixture
def report() -> Report:
    checks = (
        Check("logits", "passed", "difference: max 2e-06 | mean 1e-07"),
        Check("accuracy", "passed", "OA 91.23 % beside 91.25 %", ACCURACY),
        Check("trt logits", "not run", "no GPU at hand to run the engine on"),
    )
    return Report("pointnet", {}, {"precision": "fp32", "format": "onnx"}, Thresholds(), checks, {})


def header(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_header_carries_the_measured_accuracy(source: Source, report: Report) -> None:
    (entry,) = header(model_card(source, report))["model-index"]
    (result,) = entry["results"]
    assert result["dataset"]["name"] == ACCURACY["data"]
    told = [(m["name"], m["value"]) for m in result["metrics"]]
    assert told == [("Overall accuracy (%)", 91.23), ("Mean class accuracy (%)", 88.5)]


@pytest.mark.parametrize("status", ["not run", "failed"])
def test_accuracy_that_was_not_shown_is_not_claimed(
    source: Source, report: Report, status: Any
) -> None:
    checks = tuple(replace(c, status=status) for c in report.checks)
    card = header(model_card(source, replace(report, checks=checks)))
    assert "model-index" not in card
    assert card["library_name"] == "pointcmt"


def test_each_engine_has_its_accuracy_and_both_speeds_or_its_reason(
    source: Source, report: Report
) -> None:
    rates = {"samples_per_s": {"artefact": 200.0, "checkpoint": 50.0}}
    checks = (
        Check("logits", "passed", "", {}, "onnxruntime"),
        Check("accuracy", "passed", "", ACCURACY, "onnxruntime"),
        Check("speed", "passed", "", rates, "onnxruntime"),
        Check("trt build", "passed", "made"),
        Check("trt logits", "not run", "no GPU | none", {}, "tensorrt"),
    )
    given = replace(report, checks=checks, options={"precision": "fp32", "format": "trt"})
    card = model_card(source, given)
    assert "| onnxruntime | verified | 91.23 % | 200.0 | 50.0 |\n" in card
    assert "| tensorrt | no GPU \\| none |  |  |  |\n" in card
    wrong = Check("indices", "failed", "one differs", {}, "onnxruntime")
    failed = replace(given, checks=(*checks, wrong)).engines["onnxruntime"]
    assert failed == {"status": "failed", "reason": "one differs"}


def test_every_check_stands_in_the_table(source: Source, report: Report) -> None:
    card = model_card(source, report)
    assert "| logits | passed | difference: max 2e-06 \\| mean 1e-07 |" in card
    assert "| trt logits | not run | no GPU at hand to run the engine on |" in card


def test_the_reader_learns_what_the_network_wants(source: Source, report: Report) -> None:
    card = model_card(source, report)
    parameters = sum(p.numel() for p in source.student.parameters())
    for fact in ("512 points", f"{parameters:,}", "unit-sphere", *CLASSES, "seed: 3"):
        assert fact in card


def test_unstated_provenance_is_called_so(source: Source, report: Report) -> None:
    bare = replace(source, config=replace(source.config, provenance={}))
    assert model_card(bare, report).endswith("## Provenance\n\nNot stated.\n")
