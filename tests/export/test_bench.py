import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pointcmt.checkpoint import ModelConfig, save_student
from pointcmt.models import create_student
from pointcmt_export.bench import bench
from pointcmt_export.bench_engines import ENGINES, CannotRunError, Setup, bound
from pointcmt_export.bench_gemm import flops, product_shapes
from pointcmt_export.bench_report import markdown, plot
from pointcmt_export.bench_run import Plan, benchmark
from tests.reference.tiny_student import CLASSES, METADATA, POINTS, reference_logits, tiny_model


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    onnx.save(tiny_model(METADATA), folder / "model.onnx")
    return folder


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    student = create_student("pointnet", len(CLASSES)).eval()
    config = ModelConfig("pointnet", {}, CLASSES, POINTS)
    return save_student(tmp_path_factory.mktemp("model") / "pointnet", student, config)


@pytest.fixture
def clouds() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(3, POINTS, 3)).astype(np.float32)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(bench, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def report(artefact: Path, model_folder: Path) -> dict[str, object]:
    """Torch on a model folder and two engines on an artefact, at batch sizes 1 and 3."""
    engines = ("--engine", "torch-eager", "--engine", "onnxruntime", "--engine", "gemm-limit")
    sizes = ("--batch", 3, "--batch", 1, "--seconds", 0, "--threads", 1)
    result = run(artefact, model_folder, *engines, *sizes, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def records(report: dict[str, object], engine: str, status: str) -> list[dict[str, object]]:
    return [r for r in report["results"] if (r["engine"], r["status"]) == (engine, status)]


def test_every_engine_is_measured_at_every_batch_size(report: dict[str, object]) -> None:
    for engine in ("torch-eager", "onnxruntime", "gemm-limit"):
        measured = records(report, engine, "measured")
        assert [r["batch"] for r in measured] == [1, 3]
        for record in measured:
            assert 0 < record["p50_ms"] <= record["p90_ms"] <= record["p99_ms"]
            assert record["calls"] >= report["protocol"]["fewest_calls"]
            assert record["peak_mib"] > 30


def test_throughput_is_of_samples_not_of_calls(report: dict[str, object]) -> None:
    for record in records(report, "onnxruntime", "measured"):
        slowest = record["batch"] / (record["p99_ms"] / 1000)
        assert record["samples_per_s"] >= slowest


def test_an_engine_without_its_input_is_not_run_with_the_reason(
    report: dict[str, object], artefact: Path, model_folder: Path
) -> None:
    (no_weights,) = records(report, "torch-eager", "not run")
    assert no_weights["target"] == artefact.name
    assert "model folder" in no_weights["reason"]
    (no_graph,) = records(report, "onnxruntime", "not run")
    assert no_graph["target"] == model_folder.name
    assert "model.onnx" in no_graph["reason"]


def test_ratios_are_to_torch_and_to_the_limit(report: dict[str, object]) -> None:
    eager = {r["batch"]: r for r in records(report, "torch-eager", "measured")}
    limit = {r["batch"]: r for r in records(report, "gemm-limit", "measured")}
    for record in records(report, "onnxruntime", "measured"):
        rate, batch = record["samples_per_s"], record["batch"]
        assert record["speedup"] == pytest.approx(rate / eager[batch]["samples_per_s"])
        assert record["share_of_limit"] == pytest.approx(rate / limit[batch]["samples_per_s"])


def test_engines_of_different_weights_are_seen_to_disagree(report: dict[str, object]) -> None:
    (first, _) = records(report, "onnxruntime", "measured")
    (eager, _) = records(report, "torch-eager", "measured")
    assert first["agreement"]["max_difference"] > 0.01
    assert eager["agreement"] == {"max_difference": 0.0, "argmax": 1.0}


def test_the_machine_and_the_protocol_stand_beside_the_figures(report: dict[str, object]) -> None:
    assert report["machine"]["processor"]
    assert report["machine"]["packages"]["onnxruntime"]
    assert (report["protocol"]["threads"], report["protocol"]["points"]) == (1, POINTS)


def test_the_table_has_a_row_for_each_measurement(report: dict[str, object]) -> None:
    text = markdown(report)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + sum(r["status"] == "measured" for r in report["results"])
    assert "torch-eager on tiny0: not run, needs the model folder" in text


def test_the_plot_is_a_picture(report: dict[str, object], tmp_path: Path) -> None:
    plot(report, tmp_path / "bench.png")
    content = (tmp_path / "bench.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 10_000


def test_reports_are_written_where_asked(artefact: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures"
    arguments = ("--engine", "onnxruntime", "--batch", 1, "--seconds", 0, "--out", out)
    result = run(artefact, *arguments)
    assert result.exit_code == 0, result.stderr
    assert sorted(p.name for p in out.iterdir()) == ["bench.json", "bench.md", "bench.png"]
    assert result.stdout.splitlines()[-1] == str(out)


def test_a_process_that_dies_is_reported_and_the_others_go_on(
    artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    from pointcmt_export import bench_run

    honest = bench_run.arguments
    monkeypatch.setattr(
        bench_run, "arguments", lambda job: killed if job.engine == "openvino" else honest(job)
    )
    plan = Plan((artefact,), ("openvino", "onnxruntime"), (1,), POINTS, 0, 1, "cpu")
    died, lived = benchmark(plan)["results"]
    assert (died["status"], lived["status"]) == ("failed", "measured")
    assert "status -9" in died["reason"]


def test_a_target_that_is_neither_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "no model folder and no exported folder" in result.stderr


def test_different_students_are_not_compared(artefact: Path, tmp_path: Path) -> None:
    other = METADATA | {"pointcmt.points": "99"}
    onnx.save(tiny_model(other), tmp_path / "model.onnx")
    result = run(artefact, tmp_path)
    assert result.exit_code == 1
    assert "other classes or points" in result.stderr


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_computes_the_networks_logits(
    artefact: Path, clouds: NDArray[np.float32], engine: str
) -> None:
    pytest.importorskip(engine)
    runner = ENGINES[engine](Setup(artefact, 1, "cpu"))
    for batch in (1, 3):
        staged = runner.stage(clouds[:batch])
        logits = runner.fetch(runner.infer(staged))
        np.testing.assert_allclose(logits, reference_logits(clouds[:batch]), atol=1e-5)


def test_bound_memory_gives_the_same_logits(artefact: Path, clouds: NDArray[np.float32]) -> None:
    """The path of a GPU, taken in host memory."""
    import onnxruntime

    session = onnxruntime.InferenceSession(artefact / "model.onnx")
    runner = bound(session, "cpu")
    logits = runner.fetch(runner.infer(runner.stage(clouds)))
    np.testing.assert_allclose(logits, reference_logits(clouds), atol=1e-5)


@pytest.mark.parametrize("engine", ["torch-cuda-graph"])
def test_a_gpu_engine_is_refused_on_the_cpu(artefact: Path, engine: str) -> None:
    with pytest.raises(CannotRunError, match="CUDA"):
        ENGINES[engine](Setup(artefact, 1, "cpu"))


def test_the_products_are_those_the_graph_computes(
    artefact: Path, clouds: NDArray[np.float32]
) -> None:
    pairs = product_shapes(artefact / "model.onnx", clouds)
    assert pairs == [((3, POINTS, 3), (3, len(CLASSES)))]
    assert flops(pairs) == 2 * 3 * POINTS * 3 * len(CLASSES)


def test_a_turned_operand_counts_as_it_is_multiplied(tmp_path: Path) -> None:
    """A Gemm with transB, behind a reshape whose size only the run knows."""
    nodes = [
        helper.make_node("Reshape", ["points", "rows"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight"], ["logits"], transB=1),
    ]
    weights = [
        numpy_helper.from_array(np.array([-1, 3]), "rows"),
        numpy_helper.from_array(np.ones((7, 3), np.float32), "weight"),
    ]
    points = helper.make_tensor_value_info("points", TensorProto.FLOAT, ["B", "N", 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 7])
    graph = helper.make_graph(nodes, "gemm", [points], [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    pairs = product_shapes(tmp_path / "model.onnx", np.zeros((2, 5, 3), np.float32))
    assert pairs == [((10, 3), (3, 7))]
