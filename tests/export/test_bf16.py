"""Students in bfloat16: proved in emulation everywhere, run by OpenVINO where there is hardware."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import onnx_ir
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from pointcmt.data import Shapes
from pointcmt.errors import InputError
from pointcmt_export import reduced
from pointcmt_export.cli import main
from pointcmt_export.convert.narrow_maxima import narrow_maxima
from pointcmt_export.convert.networks import deployable
from pointcmt_export.exporter import convert, export
from pointcmt_export.options import Grid, Limits, Options
from pointcmt_export.reduced.bf16 import emulated
from pointcmt_export.report import Report
from pointcmt_export.source import open_source
from pointcmt_export.verify.check import Check
from pointcmt_serve import Classifier
from pointcmt_serve.engines import open_session, openvino
from tests.reference.small_students import small_model, small_shapes_model

NO = "the processor, an old one, has no bfloat16 products; take the float32 or the int8 file"
Made = tuple[Path, Path, Report]


def options(shape: tuple[int, int]) -> Options:
    limits = Limits(argmax_agreement=0.0, accuracy_points=100.0)  # of weights untrained
    grid = Grid(shape[:1], shape[1:])
    return Options(precision="bf16", format="openvino", data="shapes:2", grid=grid, limits=limits)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model, its export, and the report, on a processor without bfloat16."""
    pytest.importorskip("openvino")
    room = tmp_path_factory.mktemp("bf16")
    model = small_shapes_model(room / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduced, "no_bfloat16", lambda: NO)
        report = export(model, room / "out", options((2, 48)))
    return model, room / "out", report


def test_it_is_proved_in_emulation_where_the_processor_has_none(made: Made) -> None:
    _, out, report = made
    found = {check.name: check for check in report.checks}
    proved = ("indices", "logits", "argmax", "accuracy")
    assert {found[f"bf16 emulated {name}"].status for name in proved} == {"passed"}
    assert found["bf16 structure"].status == found["bf16 interface"].status == "passed"
    assert found["bf16 emulated speed"].status == "not run"
    assert (found["bf16 openvino logits"].status, found["bf16 openvino logits"].detail) == (
        "not run",
        NO,
    )
    card = (out / "README.md").read_text()
    assert "| `model.bf16.onnx` | OpenVINO" in card
    assert report.engines["openvino"]["status"] == "verified"


def test_weights_are_bfloat16_and_the_emulation_is_what_torch_computes(made: Made) -> None:
    model, out, _ = made
    graph = onnx.load(out / "model.bf16.onnx")
    kinds = {t.data_type for t in graph.graph.initializer if t.name.endswith("weight")}
    assert kinds == {onnx.TensorProto.BFLOAT16}
    clouds = Shapes("test", per_class=1, points=48).points
    onnx.save(emulated(graph), out.parent / "model.onnx")
    given = open_session(out.parent)(clouds)
    student = cast(nn.Module, open_source(model).student)
    with torch.no_grad():
        full = student(torch.from_numpy(clouds)).numpy()
        half = deployable(student).bfloat16()(torch.from_numpy(clouds)).numpy()  # type: ignore[arg-type]
    apart = np.abs(half - full).max()
    assert np.abs(given - half).max() < apart / 5
    assert np.abs(given - full).max() > apart / 2


def test_maxima_widen_nothing(tmp_path: Path) -> None:
    source = open_source(small_model(tmp_path, "dgcnn"))
    wanted = Options(precision="bf16", format="openvino", data="shapes:1", sampling="host")
    model = onnx.shape_inference.infer_shapes(convert(source, wanted)[0].model)
    kinds = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    read = [kinds[n.input[0]] for n in model.graph.node if n.op_type == "ReduceMax"]
    assert read == [onnx.TensorProto.BFLOAT16] * 5


@pytest.mark.parametrize(
    ("given", "wide", "narrow", "casts"),
    [
        ("bfloat16", "FLOAT", "BFLOAT16", 0),
        ("float16", "FLOAT", "FLOAT16", 0),
        ("float16", "FLOAT", "BFLOAT16", 2),
        ("int32", "FLOAT", "BFLOAT16", 2),
        ("bfloat16", "DOUBLE", "BFLOAT16", 2),
        ("double", "FLOAT", "DOUBLE", 2),
    ],
)
def test_only_a_maximum_that_is_narrowed_again_loses_its_steps(
    given: str, wide: str, narrow: str, casts: int
) -> None:
    kinds = {kind: getattr(onnx.TensorProto, kind) for kind in (wide, narrow)}
    text = f"""<ir_version: 10, opset_import: ["" : 20]>
        made ({given}[2, 3] x) => ({narrow.lower()}[2, 1] y) <int64[1] axes = {{1}}> {{
            w = Cast <to = {kinds[wide]}> (x)
            m = ReduceMax <keepdims = 1> (w, axes)
            y = Cast <to = {kinds[narrow]}> (m)
        }}"""
    model = onnx_ir.from_proto(onnx.parser.parse_model(text))
    made = onnx_ir.to_proto(narrow_maxima(model)).graph
    assert sum(node.op_type == "Cast" for node in made.node) == casts
    (maximum,) = (node for node in made.node if node.op_type == "ReduceMax")
    assert onnx.helper.get_node_attr_value(maximum, "keepdims") == 1
    assert maximum.input[1] == "axes"


def test_a_processor_that_has_it_is_asked_and_nothing_emulated(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def served(folder: Path, engine: str, *more: Any) -> list[Check]:
        files = sorted(file.name for file in folder.iterdir() if "bf16" in file.name)
        asked.append((engine, more[-1], files))
        return [Check(name, "not run", "by a stand-in") for name in ("logits", "accuracy")]

    monkeypatch.setattr(reduced, "no_bfloat16", lambda: None)
    monkeypatch.setattr(reduced, "served_checks", served)
    report = export(made[0], tmp_path / "out", options((1, 48)))
    assert asked == [("openvino", "bf16", ["model.bf16.onnx", "model.bf16.onnx.json"])]
    told = [(c.name, c.engine) for c in report.checks if c.name.startswith("bf16")]
    assert [name for name, _ in told[:2]] == ["bf16 structure", "bf16 interface"]
    assert told[2:] == [
        (f"bf16 openvino {name}", "openvino, bf16") for name in ("logits", "accuracy")
    ]


def test_the_processor_gives_what_the_emulation_gives(made: Made) -> None:
    if reason := openvino.no_bfloat16():
        pytest.skip(reason)
    _, out, _ = made
    clouds = Shapes("test", per_class=2, points=48).points
    onnx.save(emulated(onnx.load(out / "model.bf16.onnx")), out.parent / "model.onnx")
    expected, full = open_session(out.parent)(clouds), open_session(out)(clouds)
    given = open_session(out, "openvino", precision="bf16")(clouds)
    assert np.abs(given - expected).max() < np.abs(expected - full).max() / 2


def test_a_processor_without_it_says_so(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "no_bfloat16", lambda: NO)
    with pytest.raises(InputError, match=r"model\.bf16\.onnx: the processor, an old one, has no"):
        Classifier(made[1], engine="openvino", precision="bf16")


def test_an_engine_that_would_compute_in_float32_is_refused(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO does so, without a word, where the processor has no bfloat16."""
    if openvino.no_bfloat16() is None:
        pytest.skip("this processor has bfloat16 products")
    monkeypatch.setattr(openvino, "no_bfloat16", lambda: None)
    session = open_session(made[1], "openvino", precision="bf16")
    assert session.artefact.precision == "bf16"
    with pytest.raises(InputError, match="would compute in float32 what the file has in bfloat16"):
        session(Shapes("test", per_class=1, points=48).points)


def test_the_products_precision_is_read_off_what_was_compiled(made: Made) -> None:
    file = made[1] / "model.onnx"
    how = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = pytest.importorskip("openvino").Core().compile_model(file, "CPU", how)
    nodes = onnx.load(file).graph.node
    products = [node for node in nodes if node.op_type in ("MatMul", "Gemm")]
    assert openvino.product_precisions(compiled) == ["f32"] * len(products)


@pytest.mark.parametrize(("kinds", "good"), [(("f32", "bf16"), True), (("f32", "f32"), False)])
def test_the_compiled_products_tell(kinds: tuple[str, ...], good: bool) -> None:
    told = [*(("FullyConnected", kind) for kind in kinds), ("Reshape", "bf16")]
    held = pytest.importorskip("openvino").OVAny  # what OpenVINO's own graphs answer with
    infos = [{"layerType": held(layer), "runtimePrecision": held(kind)} for layer, kind in told]
    nodes = [SimpleNamespace(get_rt_info=lambda info=info: info) for info in infos]
    model: Any = SimpleNamespace(get_ops=lambda: nodes)
    compiled = SimpleNamespace(get_runtime_model=lambda: model)
    if good:
        openvino._require_products(compiled)
        return
    with pytest.raises(InputError, match="in float32"):
        openvino._require_products(compiled)


def test_onnxruntime_refuses_it(made: Made) -> None:
    with pytest.raises(InputError, match="no bfloat16 products; use engine openvino"):
        Classifier(made[1], precision="bf16")


def test_it_belongs_to_the_file_beside_it(made: Made, tmp_path: Path) -> None:
    for file in made[1].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"else")
    with pytest.raises(InputError, match=r"was not built from the model\.onnx beside it"):
        open_session(tmp_path, "openvino", precision="bf16")
    (tmp_path / "model.bf16.onnx.json").unlink()
    with pytest.raises(InputError, match="no readable side-car"):
        open_session(tmp_path, "openvino", precision="bf16")


def test_another_format_is_refused(made: Made, tmp_path: Path) -> None:
    arguments = [str(made[0]), "-o", str(tmp_path / "o"), "--precision", "bf16", "--data", "shapes"]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "--precision bf16 is for --format openvino, not onnx" in result.output
