import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from torch import nn

from pointcmt.checkpoint import (
    ModelConfig,
    load_student,
    save_student,
    save_training_checkpoint,
)
from pointcmt.geometry import XYZ
from pointcmt.models import create_student
from pointcmt_export.bench import bench
from pointcmt_export.bench import run as bench_run
from pointcmt_export.bench.engines import ENGINES
from pointcmt_export.bench.report import markdown, plot
from pointcmt_export.bench.run import Plan, benchmark
from pointcmt_export.bench.runner import Setup
from pointcmt_export.bench.targets import Target, find_targets
from pointcmt_export.bench.worker import Job
from pointcmt_export.bench.worker import run as run_job
from pointcmt_export.options import Options
from pointcmt_export.source import open_source
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
def report(artefact: Path, model_folder: Path) -> dict[str, Any]:
    """Torch on a model folder and an engine on an artefact, at batch sizes 1 and 3."""
    engines = ("torch-eager", "onnxruntime", "tensorrt")
    chosen = [word for engine in engines for word in ("--engine", engine)]
    sizes = ("--batch", 3, "--batch", 1, "--seconds", 0, "--threads", 1, "--device", "cpu")
    result = run(artefact, model_folder, *chosen, *sizes, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def records(report: dict[str, Any], engine: str, status: str) -> list[dict[str, Any]]:
    return [r for r in report["results"] if (r["engine"], r["status"]) == (engine, status)]


def test_every_engine_is_measured_at_every_batch_size(report: dict[str, Any]) -> None:
    for engine in ("torch-eager", "onnxruntime"):
        measured = records(report, engine, "measured")
        assert [r["batch"] for r in measured] == [1, 3]
        for record in measured:
            assert 0 < record["p50_ms"] <= record["p90_ms"] <= record["p99_ms"]
            assert record["calls"] >= report["protocol"]["fewest_calls"]
            assert record["peak_mib"] > 30
            assert record["cpu_ms"] > 0


def test_throughput_is_of_samples_not_of_calls(report: dict[str, Any]) -> None:
    for record in records(report, "onnxruntime", "measured"):
        slowest = record["batch"] / (record["p99_ms"] / 1000)
        assert record["samples_per_s"] >= slowest


def test_an_engine_that_cannot_run_is_listed_with_the_reason(report: dict[str, Any]) -> None:
    (no_engine,) = records(report, "tensorrt", "not run")
    assert "model.engine" in no_engine["reason"]


@pytest.mark.parametrize(
    ("engine", "status", "reason"),
    [("torch-cuda-graph", "not run", "CUDA"), ("torch-eager", "failed", "InputError")],
)
def test_an_engine_that_cannot_be_opened_says_why(
    tmp_path: Path, engine: str, status: str, reason: str
) -> None:
    np.save(tmp_path / "clouds.npy", np.zeros((1, POINTS, 3), np.float32))
    job = Job(engine, str(tmp_path), "x", str(tmp_path / "clouds.npy"), (1,), 0, 1, "cpu", "")
    (record,) = run_job(job)
    assert record["status"] == status
    assert reason in record["reason"]


def test_speed_is_compared_at_the_same_batch_size(report: dict[str, Any]) -> None:
    measured = [r for r in report["results"] if r["status"] == "measured"]
    rates = {(r["engine"], r["batch"]): r["samples_per_s"] for r in measured}
    for record in measured:
        assert set(record["speed_over"]) == {"torch-eager"}
        for base, ratio in record["speed_over"].items():
            expected = record["samples_per_s"] / rates[base, record["batch"]]
            assert ratio == pytest.approx(expected)


def test_engines_of_different_weights_are_seen_to_disagree(report: dict[str, Any]) -> None:
    (first, _) = records(report, "onnxruntime", "measured")
    (eager, _) = records(report, "torch-eager", "measured")
    assert first["agreement"]["max_difference"] > 0.01
    assert eager["agreement"] == {"max_difference": 0.0, "argmax": 1.0}


def test_the_machine_and_the_protocol_stand_beside_the_figures(report: dict[str, Any]) -> None:
    assert report["machine"]["processor"]
    assert report["machine"]["packages"]["onnxruntime"]
    assert (report["protocol"]["threads"], report["protocol"]["points"]) == (1, POINTS)


def test_the_table_has_a_row_for_each_measurement(report: dict[str, Any]) -> None:
    text = markdown(report)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + sum(r["status"] == "measured" for r in report["results"])
    assert "- tensorrt: not run, no target holds a model.engine" in text


def test_the_plot_is_a_picture(report: dict[str, Any], tmp_path: Path) -> None:
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


def tiny_plan(artefact: Path, *engines: str, timeout: float = 60) -> Plan:
    target = Target("tiny", artefact, CLASSES, POINTS, XYZ, "")
    return Plan((target,), engines, (1,), POINTS, 0, 1, "cpu", timeout)


def test_a_process_that_dies_is_reported_and_the_others_go_on(
    artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    honest = bench_run.arguments
    monkeypatch.setattr(
        bench_run, "arguments", lambda job: killed if job.engine == "openvino" else honest(job)
    )
    died, lived = benchmark(tiny_plan(artefact, "openvino", "onnxruntime"))["results"]
    assert (died["status"], lived["status"]) == ("failed", "measured")
    assert "status -9" in died["reason"]


def test_an_engine_that_takes_too_long_is_given_up(
    artefact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(bench_run, "arguments", lambda job: sleeping)
    (record,) = benchmark(tiny_plan(artefact, "onnxruntime", timeout=0.2))["results"]
    assert (record["status"], record["reason"]) == ("failed", "given up after 0.2 s")


def test_a_target_that_is_nothing_of_the_kind_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "neither a model folder" in result.stderr


def test_different_students_are_not_compared(artefact: Path, tmp_path: Path) -> None:
    other = METADATA | {"pointcmt.points": "99"}
    onnx.save(tiny_model(other), tmp_path / "model.onnx")
    result = run(artefact, tmp_path)
    assert result.exit_code == 1
    assert "another student" in result.stderr


def test_other_weights_are_another_student(artefact: Path) -> None:
    one = Target("one", artefact, CLASSES, POINTS, XYZ, "aa")
    assert not one.is_same_student(Target("two", artefact, CLASSES, POINTS, XYZ, "bb"))
    assert one.is_same_student(Target("unstated", artefact, CLASSES, POINTS, XYZ, ""))


def test_a_model_alone_is_exported_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints come with more than the student; torch gets a folder it can open."""
    from pointcmt_export import exporter

    def export(model: Path, out: Path, options: Options) -> None:
        metadata = METADATA | {"pointcmt.weights_sha256": open_source(model).fingerprint()}
        out.mkdir(parents=True)
        onnx.save(tiny_model(metadata), out / "model.onnx")
        sampled[out] = options.sampling

    sampled: dict[Path, str] = {}
    monkeypatch.setattr(exporter, "export", export)
    student = create_student("pointnet", len(CLASSES))
    config = ModelConfig("pointnet", {}, CLASSES, POINTS)
    others = {"teacher": nn.Linear(2, 2)}
    path = save_training_checkpoint(tmp_path / "last.safetensors", config, student, **others)
    model, graph, host = find_targets([path], tmp_path / "room")
    assert (model.name, graph.name, host.name) == ("last", "graph-sampled", "host-sampled")
    assert (sampled[graph.folder], sampled[host.folder]) == ("graph", "host")
    assert load_student(model.folder)[1].classes == CLASSES


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_computes_the_networks_logits(
    artefact: Path, clouds: NDArray[np.float32], engine: str
) -> None:
    pytest.importorskip(engine)
    runner = ENGINES[engine].open(Setup(artefact, 1, "cpu"))
    for batch in (1, 3):
        staged = runner.stage(clouds[:batch])
        logits = runner.fetch(runner.infer(staged))
        np.testing.assert_allclose(logits, reference_logits(clouds[:batch]), atol=1e-5)
