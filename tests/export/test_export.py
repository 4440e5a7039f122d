"""An export from end to end: what lies in the folder, and what happens when it cannot be made."""

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from pointcmt.checkpoint import (
    ModelConfig,
    load_student,
    save_student,
    save_training_checkpoint,
)
from pointcmt.data import SHAPES_CLASSES
from pointcmt.errors import InputError
from pointcmt.models import create_student
from pointcmt_export import exporter
from pointcmt_export.convert.networks import deployable
from pointcmt_export.convert.to_onnx import Converted
from pointcmt_export.exporter import GateError, convert, export
from pointcmt_export.options import Grid, Limits, Options
from pointcmt_export.report import Report, hashes, sha256
from pointcmt_export.source import open_source
from pointcmt_export.verify import gate
from pointcmt_export.verify.gate import Expectation
from pointcmt_serve import Classifier
from pointcmt_serve.engines import Device
from pointcmt_serve.engines.onnxruntime import OnnxSession
from tests.reference.small_students import CLASSES, GRID, POINTS

Export = tuple[Path, Report]
QUICK = Options(grid=Grid((1,), (40,)))


@pytest.fixture
def converted_once(plain_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare tests that fail after the conversion the conversion."""
    monkeypatch.setattr(exporter, "convert", lambda *_: plain_conversion(plain_folder))


@functools.cache
def plain_conversion(folder: Path) -> tuple[Converted, Expectation]:
    return convert(open_source(folder), QUICK)


def test_the_folder_is_whole_and_its_report_says_so(ssg_export: Export) -> None:
    out, report = ssg_export
    stored = json.loads((out / "export_report.json").read_text())
    assert {path.name for path in out.iterdir()} == {
        "model.onnx",
        "export_report.json",
        "README.md",
    }
    assert stored["status"] == report.status == "passed"
    assert stored["files"]["model.onnx"] == sha256(out / "model.onnx")
    statuses = {check["name"]: check["status"] for check in stored["checks"]}
    assert {statuses.pop(name) for name in ("accuracy", "speed")} == {"not run"}
    assert stored["engines"] == {"onnxruntime": {"status": "verified"}}
    run = {"structure", "interface", "indices", "logits", "argmax", "winners", "opening"}
    assert set(statuses) == run
    assert set(statuses.values()) == {"passed"}
    assert stored["versions"]["onnx"] == onnx.__version__
    assert stored["machine"]["cores"] >= 1


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_a_gpu_that_a_classifier_would_take_is_compared_too(
    plain_folder: Path,
    tmp_path: Path,
    converted_once: None,
    monkeypatch: pytest.MonkeyPatch,
    error: float,
) -> None:
    """A GPU is played by the processor, which answers rightly or not."""

    class OnGpu(OnnxSession):
        def _run(self, inputs: Any, indices: bool) -> Any:
            answers = super()._run(inputs, indices)
            return {**answers, "logits": answers["logits"] + error}

    def opened(folder: Path, engine: str, device: str, threads: int, precision: Any) -> Any:
        kind = OnGpu if device == "cuda" else OnnxSession
        return kind(Path(folder) / "model.onnx", Device("cpu"), threads)

    monkeypatch.setattr(OnnxSession, "on_gpu", True)
    monkeypatch.setattr(gate, "open_session", opened)
    if error:
        with pytest.raises(GateError, match="cuda logits"):
            export(plain_folder, tmp_path / "out", QUICK)
        return
    statuses = {
        check.name: check.status for check in export(plain_folder, tmp_path / "out", QUICK).checks
    }
    assert {statuses[f"cuda {name}"] for name in ("logits", "argmax")} == {"passed"}


def test_every_shape_of_the_grid_is_compared(ssg_export: Export) -> None:
    _, report = ssg_export
    logits = next(check for check in report.checks if check.name == "logits")
    shapes = [(each["batch"], each["points"]) for each in logits.figures["shapes"]]
    assert sorted(shapes) == [(1, 40), (1, 64), (3, 40), (3, 64)]


def test_batch_and_points_are_free(ssg_export: Export) -> None:
    model = onnx.load(ssg_export[0] / "model.onnx")
    batch, points, channels = model.graph.input[0].type.tensor_type.shape.dim
    assert batch.dim_param
    assert points.dim_param
    assert channels.dim_value == 3
    assert [output.name for output in model.graph.output] == ["logits"]
    assert model.opset_import[0].version >= 20


def test_the_file_names_nothing_of_this_machine(ssg_export: Export) -> None:
    content = (ssg_export[0] / "model.onnx").read_bytes()
    assert b".py" not in content
    assert str(Path.home()).encode() not in content


def test_the_classifier_gives_the_students_answer(ssg_export: Export, ssg_folder: Path) -> None:
    student, _ = load_student(ssg_folder)
    cloud = np.random.default_rng(0).normal(size=(POINTS, 3)).astype(np.float32)
    classifier = Classifier(ssg_export[0])
    (prediction,) = classifier(cloud)
    prepared = torch.from_numpy(classifier.prepare(cloud))[None]
    with torch.no_grad():
        expected = student(prepared)[0].numpy()
    np.testing.assert_allclose(prediction.logits, expected, atol=1e-5)
    assert prediction.label == CLASSES[int(expected.argmax())]


def test_run_folder_and_checkpoint_are_stripped(plain_folder: Path, tmp_path: Path) -> None:
    """Teacher and generator lie beside the student; they are listed, and are not in the file."""
    student, config = load_student(plain_folder)
    assert isinstance(student, nn.Module)
    run = tmp_path / "run"
    save_student(run / "student", student, config)
    others = {"teacher": nn.Linear(6, 3), "generator": nn.Linear(2, 5)}
    save_training_checkpoint(run / "checkpoint.safetensors", config, student, **others)
    for path in (run, run / "checkpoint.safetensors"):
        source = open_source(path)
        stripped = {part.part.split(": ")[-1]: part for part in source.stripped}
        assert stripped["teacher"].numbers == 6 * 3 + 3
        assert stripped["generator"].tensors == 2
        assert source.fingerprint() == open_source(plain_folder).fingerprint()
    report = export(run / "checkpoint.safetensors", tmp_path / "out", QUICK)
    structure = next(check for check in report.checks if check.name == "structure")
    assert set(structure.figures["sha256"]) == set(deployable(student).state_dict())
    assert "left behind: teacher (2 tensors, 21 numbers)" in report.table()


def test_host_sampling_asks_the_host_for_every_index(
    ssg_export: Export, ssg_folder: Path, tmp_path: Path
) -> None:
    report = export(ssg_folder, tmp_path / "host", Options(sampling="host", grid=GRID))
    assert report.status == "passed"
    model = onnx.load(tmp_path / "host" / "model.onnx")
    names = [value.name for value in model.graph.input]
    assert names == [
        "points",
        *("farthest_point_sample_0", "ball_query_0", "farthest_point_sample_1", "ball_query_1"),
    ]
    assert not {node.op_type for node in model.graph.node} & {"Scan", "Loop", "TopK"}
    cloud = np.random.default_rng(0).normal(size=(2, 70, 3))
    by_host, by_graph = (Classifier(f)(cloud) for f in (tmp_path / "host", ssg_export[0]))
    for one, other in zip(by_host, by_graph, strict=True):
        np.testing.assert_allclose(one.logits, other.logits, atol=1e-5)


def test_accuracy_of_both_stands_in_the_report(tmp_path: Path) -> None:
    options = {"width": 0.125, "feature_dim": 32}
    student = create_student("pointnet", len(SHAPES_CLASSES), **options).eval()
    assert isinstance(student, nn.Module)
    config = ModelConfig("pointnet", options, SHAPES_CLASSES, 48)
    save_student(tmp_path / "model", student, config)
    report = export(tmp_path / "model", tmp_path / "out", Options(data="shapes:3", grid=QUICK.grid))
    check = next(check for check in report.checks if check.name == "accuracy")
    assert check.status == "passed"
    assert check.figures["clouds"] == 36
    assert check.figures["artefact"] == check.figures["checkpoint"]
    speed = report.engines["onnxruntime"]["samples_per_s"]
    assert speed["artefact"] > 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert (
        f"| verified | {check.figures['artefact']['oa']:.2f} % | {speed['artefact']:.1f} |" in card
    )


def test_a_failed_gate_leaves_the_earlier_export(
    ssg_export: Export, plain_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(ssg_export[0], out)
    before = hashes(out)
    strict = Options(grid=QUICK.grid, limits=Limits(logits_max=0.0, argmax_agreement=1.1))
    with pytest.raises(GateError, match=r"nothing was written .*argmax") as caught:
        export(plain_folder, out, strict)
    assert caught.value.report.status == "failed"
    assert hashes(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.usefixtures("converted_once")
def test_an_interrupted_export_leaves_the_earlier_one(
    plain_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "export_report.json").write_text('{"files": {"model.onnx": ""}}')
    (out / "model.onnx").write_bytes(b"an earlier artefact")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter, "structure_checks", stop)
    with pytest.raises(KeyboardInterrupt):
        export(plain_folder, out, QUICK)
    assert (out / "model.onnx").read_bytes() == b"an earlier artefact"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_something_else_is_not_replaced(plain_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="something other than an export"):
        export(plain_folder, tmp_path, QUICK)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_source_folder_is_not_replaced(plain_folder: Path) -> None:
    with pytest.raises(InputError, match="something other than an export"):
        export(plain_folder, plain_folder, QUICK)


@pytest.mark.usefixtures("converted_once")
def test_a_full_disk_is_one_sentence(
    plain_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporter.onnx, "save", full)
    with pytest.raises(InputError, match="No space left on device"):
        export(plain_folder, tmp_path / "out", QUICK)
    assert not (tmp_path / "out").exists()


def test_too_little_memory_is_one_sentence(
    plain_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starve(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 TB")

    monkeypatch.setattr(exporter, "convert", starve)
    with pytest.raises(InputError, match="memory"):
        export(plain_folder, tmp_path / "out", QUICK)
