"""Engines of other libraries: built for real where no GPU is needed, "not run" otherwise."""

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch

from pointcmt.errors import InputError
from pointcmt_export.convert.networks import deployable, has_own_network
from pointcmt_export.exporter import export
from pointcmt_export.formats import tensorrt
from pointcmt_export.formats.tensorrt.precision import (
    precision_check,
    size_check,
    stored_weights_check,
)
from pointcmt_export.options import Grid, Options, Profile
from pointcmt_export.verify import Check
from pointcmt_serve.engines.tensorrt_library import load_vendor
from tests.reference.small_students import EACH_NETWORK, small_model, small_student

QUICK = Grid(batches=(2,), points=(48,))
PROFILE = Profile(batch=(1, 2, 4), points=(40, 48, 64))


def built(name: str, sampling: Any, precision: Any, folder: Path) -> dict[str, Check]:
    """Export a student as a TensorRT-RTX engine, see that it was built, and return all checks."""
    model = small_model(folder / "model", name)
    options = Options("trt-rtx", sampling, precision, grid=QUICK, profile=PROFILE)
    checks = {check.name: check for check in export(model, folder / "out", options).checks}
    assert checks["trt-rtx build"].status == checks["trt-rtx precision"].status == "passed"
    return checks


def statuses(report: Any) -> dict[str, str]:
    return {check.name: check.status for check in report.checks}


@pytest.mark.parametrize("name", EACH_NETWORK)
def test_every_network_becomes_an_engine_with_the_hosts_indices(name: str, tmp_path: Path) -> None:
    """Neighbours of all points have a row for each, others a fixed number.

    Where the GPU computes the indices, the graph is the same.
    """
    pytest.importorskip("tensorrt_rtx_bindings")
    sampling = "device" if name == "pointnet2-msg" else "host"
    found = built(name, sampling, "fp32", tmp_path)
    folded = has_own_network(small_student(name))
    assert found["trt-rtx weights"].status == ("passed" if folded else "not run")
    if not torch.cuda.is_available():
        assert found["trt-rtx logits"].status == found["trt-rtx indices"].status == "not run"
    car = json.loads((tmp_path / "out" / "model.rtx.engine.json").read_text())
    for key, file in (("onnx_sha256", "model.onnx"), ("engine_sha256", "model.rtx.engine")):
        assert car[key] == hashlib.sha256((tmp_path / "out" / file).read_bytes()).hexdigest()
    assert car["sampling"] == sampling
    assert car["profile"] == {"batch": [1, 2, 4], "points": [40, 48, 64]}
    model = onnx.load(tmp_path / "out" / "model.onnx")
    graph, told = model.graph, {p.key: p.value for p in model.metadata_props}
    steps = {step["input"]: step for step in json.loads(told["pointcmt.inputs"])}
    assert "Scan" not in {node.op_type for node in graph.node}  # nobody samples a second time
    for value in graph.input[1:]:
        free = [d.dim_param for d in value.type.tensor_type.shape.dim if d.dim_param]
        step = steps[value.name]
        a_row_each = step.get("query", step.get("centers")) == "points"
        assert free == (["batch", "points"] if a_row_each else ["batch"])


@pytest.mark.parametrize("name", ["pointnet2-ssg", "dgcnn"])
def test_a_student_that_samples_in_the_graph_becomes_an_engine(name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    built(name, "graph", "fp32", tmp_path)


@pytest.mark.parametrize(
    ("reason", "loads"),
    [("which has compute capability 9.0, is not supported", False), ("it is damaged", True)],
)
def test_an_engine_for_other_gpus_is_written_on_one_that_cannot_run_it(
    reason: str, loads: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT-RTX builds for every RTX GPU, and runs on none made for data centres."""
    pytest.importorskip("tensorrt_rtx_bindings")

    def refuse(*_: object) -> None:
        raise InputError(f"TensorRT-RTX 1.7 cannot load the engine on this GPU ({reason})")

    monkeypatch.setattr(tensorrt, "Cuda", lambda _: SimpleNamespace(name="NVIDIA H200"))
    monkeypatch.setattr(tensorrt, "Plan", refuse)
    if loads:
        with pytest.raises(InputError, match="damaged"):
            built("pointnet", "graph", "fp32", tmp_path)
        return
    found = built("pointnet", "graph", "fp32", tmp_path)
    assert found["trt-rtx logits"].status == "not run"
    assert found["trt-rtx logits"].detail.endswith("does not run on the NVIDIA H200 at hand")
    car = json.loads((tmp_path / "out" / "model.rtx.engine.json").read_text())
    assert car["gpu"] is None  # so that any GPU that runs it may load it


def test_half_precision_is_half_in_the_engine(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    found = built("dgcnn", "host", "fp16", tmp_path)
    assert found["trt-rtx precision"].figures["products"]["HALF"] > 0
    assert "float16" in found["trt-rtx weights"].detail


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
