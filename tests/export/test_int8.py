"""Students in int8: quantised on clouds, proved to be the float32 file's, run by every engine."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from pointcmt.data import Shapes
from pointcmt.errors import InputError
from pointcmt_export import exporter
from pointcmt_export.cli import main
from pointcmt_export.convert.to_onnx import Converted
from pointcmt_export.exporter import export
from pointcmt_export.options import Grid, Limits, Options
from pointcmt_export.reduced.int8 import products, quantized
from pointcmt_export.reduced.structure import int8_check
from pointcmt_export.report import Report
from pointcmt_serve import Classifier
from pointcmt_serve.engines import open_session
from tests.reference.small_students import small_shapes_model

Change = Callable[[onnx.ModelProto], None]
ANY = Limits(argmax_agreement=0.0, accuracy_points=100.0, logits_mean=1.0)  # of weights untrained
OPTIONS = Options(
    precision="int8",
    sampling="host",
    format="openvino",
    data="shapes:2",
    grid=Grid((2,), (48,)),
    limits=ANY,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small PointNet for the embedded shapes, which have training clouds."""
    return small_shapes_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def made(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    pytest.importorskip("openvino")
    out = tmp_path_factory.mktemp("int8") / "out"
    return out, export(model, out, OPTIONS)


def test_it_is_a_file_of_its_own_with_checks_of_its_own(made: tuple[Path, Report]) -> None:
    out, report = made
    files = {"README.md", "export_report.json", "model.int8.onnx", "model.onnx"}
    assert {path.name for path in out.iterdir()} == files
    found = {check.name: check for check in report.checks if check.name.startswith("int8")}
    engines = {check.engine for check in found.values()} - {None}
    assert engines == {"onnxruntime, int8", "openvino, int8"}
    assert {check.status for check in found.values()} == {"passed"}
    assert {"p90", "p99", "median"} <= set(found["int8 logits"].figures)
    assert "agreement" in found["int8 accuracy"].figures
    assert "| `model.int8.onnx` |" in (out / "README.md").read_text()
    entries = {e.key: e.value for e in onnx.load(out / "model.int8.onnx").metadata_props}
    assert entries["pointcmt.precision"] == "int8"
    assert '"shapes/train' in entries["pointcmt.calibration"]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_arithmetic_is_that_of_the_file_and_never_changes_silently(
    made: tuple[Path, Report], engine: str
) -> None:
    out, _ = made
    clouds = Shapes("test", per_class=1, points=48).points
    full, asked, reduced = (
        Classifier(out, engine=engine, precision=precision) for precision in (None, "fp32", "int8")
    )
    assert (full.artefact.precision, reduced.artefact.precision) == ("fp32", "int8")
    logits = [np.stack([p.logits for p in c(clouds)]) for c in (full, asked, reduced)]
    np.testing.assert_array_equal(logits[0], logits[1])
    assert 1e-5 < np.abs(logits[0] - logits[2]).max() < 0.5
    named = Classifier(out / "model.int8.onnx", engine=engine)
    np.testing.assert_array_equal(np.stack([p.logits for p in named(clouds)]), logits[2])


def test_another_arithmetic_than_that_of_the_file_is_refused(made: tuple[Path, Report]) -> None:
    out, _ = made
    with pytest.raises(InputError, match=r"computes in int8, not in fp32; .*--precision fp32"):
        open_session(out / "model.int8.onnx", precision="fp32")
    with pytest.raises(InputError, match=r"holds no model\.bf16\.onnx; .*--precision bf16"):
        Classifier(out, precision="bf16")
    with pytest.raises(InputError, match="unknown precision 'fp8'; use fp32 or fp16"):
        Classifier(out, precision="fp8")
    with pytest.raises(InputError, match=r"model\.onnx: computes in fp32, not in fp16"):
        Classifier(out, precision="fp16")


def test_only_products_of_features_with_weights_are_rounded(
    converted: tuple[Converted, Any],
) -> None:
    model = converted[0].model
    held = {t.name: t.dims for t in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    chosen = [held[nodes[name].input[1]] for name in products(model)]
    assert chosen
    assert all(min(shape) >= 16 or max(shape) >= 16 for shape in chosen)
    left = [n for n in model.graph.node if n.op_type in ("Gemm", "MatMul")]
    coordinates = [n for n in left if n.input[1].endswith("position")]
    assert coordinates
    assert not {n.name for n in coordinates} & set(products(model))


def feeds(model: onnx.ModelProto) -> Iterator[dict[str, Any]]:
    yield {"points": Shapes("train", per_class=1, points=48).points[:8]}


@pytest.fixture(scope="module")
def pair(converted: tuple[Converted, Any]) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """An int8 graph, sampled by the graph itself, and its float32 graph."""
    full = converted[0].model
    return quantized(full, feeds(full)), full


def change_a_weight(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.name.endswith("weight_quantized"))
    values = numpy_helper.to_array(tensor).copy()
    values.flat[3] -= np.sign(values.flat[3]) * 2
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def change_a_scale(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.name.endswith("weight_scale"))
    values = numpy_helper.to_array(tensor) * np.float32(1.1)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def use_all_eight_bits(model: onnx.ModelProto) -> None:
    names = {t.name for t in model.graph.initializer if t.name.endswith("weight_quantized")}
    for tensor in model.graph.initializer:
        stem = tensor.name.removesuffix("_scale") + "_quantized"
        values = numpy_helper.to_array(tensor)
        if tensor.name in names:
            changed = values * np.int8(1) + values  # doubled: the half step is a whole one then
        elif stem in names:
            changed = values / 2
        else:
            continue
        tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))


def add_a_teacher_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.ones((4, 4), "f"), "teacher_scale"))


def lose_a_bias(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.name.endswith("last.bias"))
    model.graph.initializer.remove(tensor)


@pytest.mark.parametrize(
    "change",
    [change_a_weight, change_a_scale, use_all_eight_bits, add_a_teacher_weight, lose_a_bias],
)
def test_weights_other_than_the_float32_files_are_caught(
    pair: tuple[onnx.ModelProto, onnx.ModelProto], change: Change
) -> None:
    made, full = pair
    assert int8_check(made, full).status == "passed"
    changed = onnx.ModelProto()
    changed.CopyFrom(made)
    change(changed)
    assert int8_check(changed, full).status == "failed"


def test_a_product_left_in_float32_is_caught(
    pair: tuple[onnx.ModelProto, onnx.ModelProto],
) -> None:
    check = int8_check(pair[1], pair[1])
    assert (check.status, "0 of" in check.detail) == ("failed", True)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "name a data set with --data"),
        (
            ("--data", "shapes", "--format", "triton"),
            "is for --format onnx or openvino, not triton",
        ),
        (("--data", "shapes", "--calibration", "imagenet"), "unknown data set 'imagenet'"),
        (("--data", "shapes", "--calibration", "modelnet40:/nowhere"), "/nowhere"),
    ],
)
def test_bad_input_is_one_sentence(
    flags: tuple[str, ...], sentence: str, model: Path, tmp_path: Path
) -> None:
    arguments = [str(model), "-o", str(tmp_path / "out"), "--precision", "int8", *flags]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert sentence in result.output
    assert not (tmp_path / "out").exists()


def test_calibration_on_another_data_set_is_refused(
    plain_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its student knows five classes, the shapes are twelve."""
    monkeypatch.setattr(exporter, "convert", lambda *_: pytest.fail("too late"))
    options = Options(precision="int8", data="shapes", calibration="shapes:2")
    with pytest.raises(InputError, match="--calibration shapes:2: has the classes of shapes"):
        export(plain_folder, tmp_path / "out", options)


def test_calibration_without_int8_is_refused() -> None:
    with pytest.raises(InputError, match="--calibration is for --precision int8"):
        Options(calibration="shapes")
