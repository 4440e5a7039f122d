"""Engines of other libraries: built for real where no GPU is needed, "not run" otherwise."""

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pointcmt.errors import InputError
from pointcmt.models import STUDENTS
from pointcmt_export.convert.networks import deployable, has_own_network
from pointcmt_export.exporter import export
from pointcmt_export.formats.tensorrt.precision import (
    precision_check,
    size_check,
    stored_weights_check,
)
from pointcmt_export.options import Grid, Options, Profile
from pointcmt_serve.engines.tensorrt_library import load_vendor
from tests.reference.small_students import small_model, small_student

QUICK = Grid(batches=(2,), points=(48,))
PROFILE = Profile(batch=(1, 2, 4), points=(40, 48, 64))


def statuses(report: Any) -> dict[str, str]:
    return {check.name: check.status for check in report.checks}


@pytest.mark.parametrize("name", sorted(STUDENTS))
def test_tensorrt_rtx_builds_every_student(name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    model = small_model(tmp_path / "model", name)
    out = tmp_path / "out"
    report = export(model, out, Options(format="trt-rtx", grid=QUICK, profile=PROFILE))
    found = statuses(report)
    assert found["trt-rtx build"] == found["trt-rtx precision"] == "passed"
    folded = has_own_network(small_student(name))
    assert found["trt-rtx weights"] == ("passed" if folded else "not run")
    if not torch.cuda.is_available():
        assert found["trt-rtx logits"] == found["trt-rtx indices"] == "not run"
    car = json.loads((out / "model.rtx.engine.json").read_text())
    for key, file in (("onnx_sha256", "model.onnx"), ("engine_sha256", "model.rtx.engine")):
        assert car[key] == hashlib.sha256((out / file).read_bytes()).hexdigest()
    assert car["profile"] == {"batch": [1, 2, 4], "points": [40, 48, 64]}


def test_tensorrt_rtx_takes_indices_with_a_row_for_every_point(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    model = small_model(tmp_path / "model", "dgcnn")
    options = Options(format="trt-rtx", sampling="host", grid=QUICK, profile=PROFILE)
    found = statuses(export(model, tmp_path / "out", options))
    assert found["trt-rtx build"] == "passed"


@pytest.mark.parametrize("name", ["pointnet2-ssg", "dgcnn"])
def test_half_precision_is_half_in_the_engine(name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    model = small_model(tmp_path / "model", name)
    options = Options(format="trt-rtx", precision="fp16", grid=QUICK, profile=PROFILE)
    report = export(model, tmp_path / "out", options)
    precision = next(c for c in report.checks if c.name == "trt-rtx precision")
    assert precision.status == "passed"
    assert precision.figures["products"]["HALF"] > 0
    weights = next(c for c in report.checks if c.name == "trt-rtx weights")
    assert "float16" in weights.detail


@pytest.mark.parametrize(
    ("name", "sampling"), [("pointnet2-ssg", "host"), ("dgcnn", "graph"), ("dgcnn", "host")]
)
def test_openvino_gives_the_students_answer(name: str, sampling: Any, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    options = Options(format="openvino", sampling=sampling, grid=QUICK)
    model = small_model(tmp_path / "model", name)
    found = statuses(export(model, tmp_path / "out", options))
    assert {found[f"openvino {k}"] for k in ("indices", "logits", "argmax")} == {"passed"}
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"model.onnx", "export_report.json", "README.md"}


def test_all_formats_are_written_or_named_with_the_reason(
    ssg_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    report = export(ssg_folder, tmp_path / "out", Options(format="all", grid=QUICK))
    found = {check.name: check for check in report.checks}
    assert found["triton"].status == "passed"
    assert {found[name].status for name in ("openvino", "trt", "trt-rtx")} == {"not run"}
    assert "--sampling host" in found["openvino"].detail
    assert "pointcmt[trt]" in found["trt"].detail


def test_a_profile_below_the_students_least_points_is_refused(
    ssg_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    options = Options(format="trt-rtx", grid=QUICK, profile=Profile(points=(8, 48, 64)))
    with pytest.raises(InputError, match="student needs 32"):
        export(ssg_folder, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("precision", "products", "searches", "inspected", "status"),
    [
        ("fp32", {"FLOAT": 12}, 0, None, "passed"),
        ("fp32", {"FLOAT": 12}, 0, "layers of Float", "passed"),
        ("fp32", {"FLOAT": 12}, 0, "sm80_xmma_gemm_tf32f32", "failed"),
        ("fp32", {"FLOAT": 11, "HALF": 1}, 0, None, "failed"),
        ("fp32", {}, 0, None, "failed"),
        ("fp16", {"HALF": 12}, 0, None, "passed"),
        ("fp16", {"HALF": 12, "FLOAT": 3}, 3, None, "passed"),
        ("fp16", {"HALF": 12, "FLOAT": 4}, 3, None, "failed"),
        ("fp16", {"FLOAT": 12}, 0, None, "failed"),
        ("fp16", {"HALF": 12}, 0, "only Float layers", "failed"),
    ],
)
def test_the_precision_check_believes_nothing_but_the_engine(
    precision: Any, products: dict[str, int], searches: int, inspected: str | None, status: str
) -> None:
    assert precision_check(precision, products, searches, inspected).status == status


def test_a_half_engine_must_be_smaller() -> None:
    assert size_check(5_400_000, 8_000_000, numbers=1_400_000).status == "passed"
    assert size_check(7_900_000, 8_000_000, numbers=1_400_000).status == "failed"


def test_a_plan_with_one_other_weight_is_caught() -> None:
    weights = deployable(small_student("pointnet2-ssg")).state_dict()
    plan = b"head" + b"-".join(t.numpy().tobytes() for t in weights.values())
    assert stored_weights_check(plan, weights).status == "passed"
    spoilt = dict(weights)
    name = max(weights, key=lambda key: weights[key].numel())
    spoilt[name] = weights[name] + 1
    assert stored_weights_check(plan, spoilt).status == "failed"


def test_an_old_tensorrt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="8.6.1"))
    with pytest.raises(InputError, match=r"8\.6\.1 is too old; version 10\.4"):
        load_vendor("trt")
