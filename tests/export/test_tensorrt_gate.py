"""The whole gate with TensorRT's session, on a made-up GPU whose engines onnxruntime computes."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from pointcmt.data import Shapes
from pointcmt.kernels import calls
from pointcmt_export import exporter
from pointcmt_export.convert.to_onnx import Converted, set_metadata
from pointcmt_export.formats import FORMATS, Job
from pointcmt_export.formats.tensorrt import write
from pointcmt_export.formats.tensorrt.build import build
from pointcmt_export.options import Options, Profile, Sampling
from pointcmt_export.source import open_source
from pointcmt_export.verify import Check, Clouds, failed
from pointcmt_export.verify.gate import Expectation
from pointcmt_export.verify.runners import following, metadata
from pointcmt_serve import Classifier
from pointcmt_serve.engines.tensorrt_library import load_vendor
from tests.reference.fake_driver import FakeDriver, install_driver
from tests.reference.fake_tensorrt import FakeCuda, Status
from tests.reference.fake_tensorrt_builder import Compute, building_module
from tests.reference.fused import choose, gridded
from tests.reference.small_students import GRID

SHAPES = ((5, 48), (1, 64))
PROFILE = Profile(batch=(1, 2, 4), points=(40, 48, 64))


@pytest.fixture(scope="module")
def beside(ssg_folder: Path) -> tuple[Converted, Expectation]:
    """The small PointNet++ with its indices as inputs, and what the file must be."""
    source, options = open_source(ssg_folder), Options(format="trt", sampling="device", grid=GRID)
    graph, expected = exporter.convert(source, options)
    set_metadata(graph.model, exporter.metadata(source, graph, options))
    return graph, expected


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a TensorRT whose engines compute what `change` makes of the graph."""

    def install(change: Callable[[Compute], Compute] = lambda run: run) -> None:
        cuda = FakeCuda()
        monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
        monkeypatch.setitem(sys.modules, "tensorrt", building_module(cuda, change))

    return install


@pytest.fixture
def gpu_driver(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> FakeDriver:
    """A TensorRT whose engines compute the graph, on a GPU that runs kernels."""
    assert pytestconfig.cache is not None
    cuda = FakeCuda()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", building_module(cuda))
    return install_driver(monkeypatch, cuda, Path(pytestconfig.cache.mkdir("emulator")))


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        (b"", b"timings, and more"),
        (b"earlier ones", b"earlier ones, and more"),
        (b"of another GPU", b"timings, and more"),
        (b"damaged", b"timings, and more"),
    ],
)
def test_timings_are_kept_and_those_that_do_not_fit_replaced(
    stored: bytes,
    kept: bytes,
    place: Callable[..., None],
    beside: tuple[Converted, Expectation],
    tmp_path: Path,
) -> None:
    place()
    (tmp_path / "timings").write_bytes(stored)
    build(load_vendor("trt"), beside[0].model, PROFILE.fitted(40, 48), tmp_path / "timings")
    assert (tmp_path / "timings").read_bytes() == kept


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


def test_an_export_that_samples_on_the_gpu_is_verified_and_served_so(
    gpu_driver: FakeDriver,
    ssg_folder: Path,
    beside: tuple[Converted, Expectation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporter, "convert", lambda *_: beside)
    options = Options(format="trt", sampling="device", profile=PROFILE)
    report = exporter.export(ssg_folder, tmp_path / "out", options)
    found = {check.name: check for check in report.checks if check.engine == "tensorrt"}
    assert found["trt indices"].status == found["trt logits"].status == "passed"
    assert found["trt indices"].figures["near_ties"]["clouds"] == 0
    assert metadata(onnx.load(tmp_path / "out" / "model.onnx"))["sampling"] == "host"
    cloud, before = np.random.default_rng(0).normal(size=(70, 3)), len(gpu_driver.launched)
    served = Classifier(tmp_path / "out", engine="tensorrt")(cloud)
    assert len(gpu_driver.launched) == before + 6  # four searches, the coordinates of two sets
    by_host = Classifier(tmp_path / "out")(cloud)
    np.testing.assert_allclose(served[0].logits, by_host[0].logits, atol=1e-5)


def test_a_wrong_launch_is_caught(
    gpu_driver: FakeDriver,
    beside: tuple[Converted, Expectation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = calls.ball_query
    monkeypatch.setattr(calls, "ball_query", lambda b, n, m, r, k: right(b, n, m, r * 1.01, k))
    found = checked(beside, tmp_path, sampling="device")
    (check,) = (each for each in failed(found.values()) if each.name == "trt indices")
    assert "ball_query_0 differs" in check.detail


def checked(
    converted: tuple[Converted, Expectation], folder: Path, sampling: Sampling = "graph"
) -> dict[str, Check]:
    """Build an engine of the small student and compare it on clouds of a grid."""
    graph, expected = converted
    onnx.save(graph.model, folder / "model.onnx")
    clouds = gridded(Shapes("test", per_class=1, points=64).points, "pointnet2-ssg")
    expected = replace(expected, shapes=SHAPES)
    options = Options("trt", sampling, profile=PROFILE)
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


def test_a_graph_that_replays_something_else_is_caught(
    place: Callable[..., None],
    converted: tuple[Converted, Expectation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeCuda, "cudaGraphLaunch", lambda *_: (Status.cudaSuccess,))
    place()
    assert "trt logits" in [check.name for check in failed(checked(converted, tmp_path).values())]


def test_accuracy_is_measured_where_torch_has_no_cuda(
    place: Callable[..., None],
    converted: tuple[Converted, Expectation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The checkpoint then runs on the CPU, and the speeds are not compared."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
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
