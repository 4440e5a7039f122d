"""The limits of the gate: just within and just beyond, and the numbers that the docs name."""

import re
from pathlib import Path

import numpy as np
import pytest

from pointcmt_export.convert.host_steps import XYZ, HostStep
from pointcmt_export.report import Report
from pointcmt_export.verify import Check
from pointcmt_export.verify.check import EXACT, FEATURE_NEIGHBOURS, HALF, REDUCED, Thresholds
from pointcmt_export.verify.near_ties import excused
from pointcmt_export.verify.parity import Pair, _classes, _logits
from pointcmt_serve.engines import Outputs

DOCS = (Path(__file__).parents[2] / "docs" / "export.md").read_text()


@pytest.mark.parametrize(("steps", "allowed"), [(0, True), (4, True), (7, False), (70, False)])
def test_a_choice_is_excused_by_five_roundings_of_each_side(steps: int, allowed: bool) -> None:
    """Moving a point by k times 2**-24 changes its squared distance by twice as much of itself."""
    near = np.float32(1) - np.float32(steps * 2.0**-24)
    points = np.array([[[0, 0, 0], [1, 0, 0], [0, near, 0], [0, 0, 0.5]]], np.float32)
    step = HostStep("sample", "farthest_point_sample", {"xyz": XYZ}, {"m": 2})
    chosen = {"sample": np.array([[0, 2]])}  # the nearer one
    assert excused([step], points, chosen)["sample"].tolist() == [allowed]


@pytest.mark.parametrize(("behind", "share"), [(1.9e-4, 1.0), (3e-4, 0.0)])
def test_a_tie_is_two_largest_differences_wide(behind: float, share: float) -> None:
    logits = np.array([[0.0, -behind, -1.0]], np.float32)
    other = np.array([[-1.0, 0.0, -2.0]], np.float32)
    check = _classes([Pair(Outputs(logits), Outputs(other))], EXACT)
    assert check.figures["agreement"] == share
    assert check.status == ("passed" if share else "failed")


@pytest.mark.parametrize(
    ("wrong", "over"),
    [([-2e-4, 0.0], "max 0.0002"), ([-3e-4, 0.0], "mean 7.5e-05"), ([np.nan, 0.0], "not finite")],
)
def test_logits_of_every_shape_count_whatever_their_sign(wrong: list[float], over: str) -> None:
    right = np.zeros((1, 2), np.float32)
    given = (right, np.array([wrong], np.float32))
    check = _logits([Pair(Outputs(right), Outputs(g)) for g in given], [(1, 8)] * 2, EXACT)
    assert check.status == "failed"
    assert over in check.detail


def test_the_docs_tell_the_limits() -> None:
    def row(what: str) -> float:
        found = re.search(rf"^\| \w* ?\| {what}.*\| ([\d.e-]+)", DOCS, re.MULTILINE)
        assert found, what
        return float(found[1])

    assert row("largest difference") == EXACT.logits_max
    assert row("mean difference") == EXACT.logits_mean
    assert row("median difference") == EXACT.logits_median
    assert row("difference of OA and of mAcc") == EXACT.accuracy_points
    assert EXACT.argmax_agreement == 1
    assert Thresholds(None, 1e-2, 1e-4, 0.98) == FEATURE_NEIGHBOURS
    assert "the mean may be 1e-2, the median 1e-4, and 98 % must agree" in " ".join(DOCS.split())
    assert Thresholds(None, 5e-2, 5e-2, 0.98, 0.3, gains=True) == HALF
    assert "In float16 mean and median may be 5e-2 and 98 % must agree" in " ".join(DOCS.split())
    assert Thresholds(None, 0.2, 0.2, 0.95, 0.3, gains=True) == REDUCED


def test_the_report_tells_the_accuracy_of_the_file_not_of_the_checkpoint() -> None:
    figures = {"artefact": {"oa": 90.0, "macc": 80.0}, "checkpoint": {"oa": 91.0, "macc": 81.0}}
    checks = tuple(
        Check(f"onnxruntime {name}", status, "", told, "onnxruntime")
        for name, status, told in (
            ("logits", "passed", {}),
            ("accuracy", "passed", figures),
            ("speed", "not run", {}),
        )
    )
    report = Report("tiny", {}, {}, EXACT, checks, {})
    assert report.engines == {"onnxruntime": {"status": "verified", "oa": 90.0}}
