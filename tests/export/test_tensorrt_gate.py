"""The whole gate with TensorRT's session, on a made-up GPU whose engines onnxruntime computes."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from pointcmt.data import Shapes
from pointcmt_export import exporter
from pointcmt_export.convert.to_onnx import Converted
from pointcmt_export.formats import FORMATS, Job
from pointcmt_export.formats.tensorrt import write
from pointcmt_export.options import Options, Profile
from pointcmt_export.verify import Check, Clouds, failed
from pointcmt_export.verify.gate import Expectation
from pointcmt_export.verify.runners import following
from pointcmt_serve import Classifier
from pointcmt_serve.engines.tensorrt_library import load_vendor
from tests.reference.fake_tensorrt import FakeCuda
from tests.reference.fake_tensorrt_builder import Compute, building_module
from tests.reference.fused import choose, gridded

SHAPES = ((5, 48), (1, 64))
PROFILE = Profile(batch=(1, 2, 4), points=(40, 48, 64))


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a TensorRT whose engines compute what `change` makes of the graph."""

    def install(change: Callable[[Compute], Compute] = lambda run: run) -> None:
        cuda = FakeCuda()
        monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
        monkeypatch.setitem(sys.modules, "tensorrt", building_module(cuda, change))

    return install


def test_an_export_passes_every_check_and_is_served(
    place: Callable[..., None],
    ssg_folder: Path,
    converted: tuple[Converted, Expectation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place()
    monkeypatch.setattr(exporter, "convert", lambda *_: converted)  # which takes seconds
    options = Options(format="trt", profile=PROFILE)
    report = exporter.export(ssg_folder, tmp_path / "out", options)
    found = {check.name: check.status for check in report.checks if check.engine == "tensorrt"}
    passed = ("build", "precision", "indices", "logits", "argmax")
    assert {name: found[f"trt {name}"] for name in passed} == dict.fromkeys(passed, "passed")
    assert report.engines["tensorrt"]["status"] == "verified"
    cloud = np.random.default_rng(0).normal(size=(70, 3))
    served = Classifier(tmp_path / "out", engine="tensorrt")(cloud)
    beside = Classifier(tmp_path / "out")(cloud)
    np.testing.assert_allclose(served[0].logits, beside[0].logits, atol=1e-5)


def checked(converted: tuple[Converted, Expectation], folder: Path) -> dict[str, Check]:
    """Build an engine of the small student and compare it on clouds of a grid."""
    graph, expected = converted
    onnx.save(graph.model, folder / "model.onnx")
    clouds = gridded(Shapes("test", per_class=1, points=64).points, "pointnet2-ssg")
    expected = replace(expected, shapes=SHAPES)
    options = Options(profile=PROFILE)
    job = Job(graph.model, lambda: graph.model, folder, expected, clouds, options)
    found = write(FORMATS["trt"], load_vendor("trt"), job)
    return {check.name: check for check in found}


def contracted(expected: Expectation, wrong: bool = False) -> Callable[[Compute], Compute]:
    """An engine that contracts multiply and add; the wrong one also takes a point too few."""
    follow = following(expected.student)

    def change(run: Compute) -> Compute:
        def compute(inputs: dict[str, Any]) -> dict[str, Any]:
            indices = choose(expected.steps, inputs["points"])
            told = {name: indices[name] for name in run(inputs) if name != "logits"}
            if wrong and told:
                told["ball_query_0"][0, 0, 1:] = told["ball_query_0"][0, 0, :1]
            return {"logits": follow(inputs["points"], indices), **told}

        return compute

    return change


def test_an_engine_that_contracts_passes_with_its_near_ties_counted(
    place: Callable[..., None], converted: tuple[Converted, Expectation], tmp_path: Path
) -> None:
    place(contracted(converted[1]))
    checks = checked(converted, tmp_path)
    assert not failed(checks.values())
    assert checks["trt indices"].figures["near_ties"]["clouds"] > 0


def test_a_wrong_index_of_such_an_engine_is_caught(
    place: Callable[..., None], converted: tuple[Converted, Expectation], tmp_path: Path
) -> None:
    place(contracted(converted[1], wrong=True))
    (check,) = failed(checked(converted, tmp_path).values())
    assert (check.name, check.engine) == ("trt indices", "tensorrt")
    assert "ball_query_0 differs" in check.detail


def test_accuracy_is_measured_where_torch_has_no_cuda(
    place: Callable[..., None], converted: tuple[Converted, Expectation], tmp_path: Path
) -> None:
    """The checkpoint then runs on the CPU, and the speeds are not compared."""
    place()
    graph, expected = converted
    onnx.save(graph.model, tmp_path / "model.onnx")
    data = gridded(Shapes("test", per_class=1, points=64).points, "pointnet2-ssg").parity
    clouds = Clouds(data, data, expected.config)
    expected = replace(expected, shapes=SHAPES[:1])
    options = Options(profile=PROFILE)
    job = Job(graph.model, lambda: graph.model, tmp_path, expected, clouds, options)
    found = {c.name: c.status for c in write(FORMATS["trt"], load_vendor("trt"), job)}
    assert (found["trt accuracy"], found["trt speed"]) == ("passed", "not run")
