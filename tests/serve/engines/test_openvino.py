"""Exported students in OpenVINO, as `pointcmt_serve` runs them."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from pointcmt import native
from pointcmt.errors import InputError
from pointcmt_export.exporter import export
from pointcmt_export.options import Grid, Options
from pointcmt_serve import Classifier
from pointcmt_serve.engines import Session, open_session
from tests.reference.small_students import small_model
from tests.reference.tiny_student import METADATA, tiny_model

pytest.importorskip("openvino")

LEAST = Grid(batches=(1,), points=(40,))  # the gate has tests of its own
NAMES = ["dgcnn", "pointnet2-msg"]  # neighbours among features; steps of the host


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    files = {}
    for name in NAMES:
        room = tmp_path_factory.mktemp(name)
        model = small_model(room / "model", name)
        export(model, room / "out", Options(sampling="host", grid=LEAST))
        files[name] = room / "out" / "model.onnx"
    return files


def onnxruntime(file: Path) -> Session:
    return open_session(file, "onnxruntime", "cpu")


def openvino(file: Path, threads: int = 0) -> Session:
    return open_session(file, "openvino", "cpu", threads)


def batch(size: int, points: int) -> NDArray[np.float32]:
    random = np.random.default_rng(size * points)
    return random.uniform(-0.5, 0.5, (size, points, 3)).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_onnxruntime(name: str, exported: dict[str, Path]) -> None:
    reference, session = onnxruntime(exported[name]), openvino(exported[name], threads=2)
    for size, points in ((3, 48), (1, 64), (5, 40), (2, 48), (7, 48), (1, 50), (3, 48)):
        clouds = batch(size, points)
        np.testing.assert_allclose(session(clouds), reference(clouds), atol=2e-5)
    assert len(session._compiled) == 5  # four shapes, and one for any


@pytest.mark.parametrize("available", [True, False])
def test_the_native_library_searches_features_where_it_is(
    exported: dict[str, Path], monkeypatch: pytest.MonkeyPatch, available: bool
) -> None:
    calls = []
    for name in ("knn", "gathered_maximum"):
        real = getattr(native, name)
        monkeypatch.setattr(
            native, name, lambda *a, real=real, name=name, **b: calls.append(name) or real(*a, **b)
        )
    monkeypatch.setattr(native, "available", lambda: available)
    session = openvino(exported["dgcnn"], threads=1)
    monkeypatch.setattr(native, "available", lambda: True)
    clouds = batch(2, 48)
    logits = session(clouds)
    assert calls == (["gathered_maximum", *["knn", "gathered_maximum"] * 3] if available else [])
    np.testing.assert_allclose(logits, onnxruntime(exported["dgcnn"])(clouds), atol=2e-5)


def test_the_native_library_takes_maxima_of_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen on any processor: where it has no bfloat16, OpenVINO holds the numbers in float32."""
    from openvino import Core, Model, Type, opset15

    from pointcmt_serve.engines.openvino_ops import use_native_ops

    calls = []
    real = native.gathered_maximum
    monkeypatch.setattr(
        native, "gathered_maximum", lambda *a, **b: calls.append(a[0].dtype) or real(*a, **b)
    )
    random = np.random.default_rng(0)
    values, rows = random.normal(size=(9, 5)).astype(np.float32), random.integers(0, 9, 12)
    wide, index = opset15.parameter([9, 5], Type.f32), opset15.parameter([12], Type.i64)
    narrow = opset15.convert(wide, Type.bf16)
    groups = opset15.reshape(opset15.gather(narrow, index, 0), [4, 3, 5], special_zero=False)
    best = opset15.convert(opset15.reduce_max(groups, 1, keep_dims=False), Type.f32)
    model = Model([best], [wide, index])
    use_native_ops(model, 1)
    assert "Gather" not in {node.get_type_name() for node in model.get_ops()}
    (given,) = Core().compile_model(model, "CPU")([values, rows]).values()
    rounded = torch.from_numpy(values).bfloat16().float().numpy()
    np.testing.assert_array_equal(given, rounded[rows].reshape(4, 3, 5).max(1))
    assert calls == [np.float32]


def test_the_precision_is_stated_at_every_compilation(exported: dict[str, Path]) -> None:
    """A processor with bfloat16 would choose that by default."""
    session: Any = openvino(exported["pointnet2-msg"])
    core, told = session._core, []

    def compile_model(model: Any, device: str, properties: dict[str, Any]) -> Any:
        told.append((device, properties["INFERENCE_PRECISION_HINT"]))
        return core.compile_model(model, device, properties)

    session._core = SimpleNamespace(compile_model=compile_model)
    for size in range(1, 7):
        session(batch(size, 48))
    assert told == [("CPU", "f32")] * 5


def test_one_session_serves_many_threads(exported: dict[str, Path]) -> None:
    session = openvino(exported["dgcnn"])
    clouds = [batch(size, 48) for size in (1, 2, 3, 4)] * 4
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(session, clouds))
    for given, cloud in zip(together, clouds, strict=True):
        np.testing.assert_allclose(given, session(cloud), atol=1e-6)


def test_the_classifier_takes_it_by_name(exported: dict[str, Path]) -> None:
    clouds = batch(4, 70)
    labels = [p.label for p in Classifier(exported["dgcnn"])(clouds)]
    assert [p.label for p in Classifier(exported["dgcnn"], engine="openvino")(clouds)] == labels


def test_a_graph_that_openvino_cannot_read_is_refused(tmp_path: Path) -> None:
    model = tiny_model(METADATA)
    square = onnx.numpy_helper.from_array(np.eye(2, dtype=np.float32), "square")
    model.graph.initializer.append(square)
    model.graph.node.append(onnx.helper.make_node("Det", ["square"], ["beyond"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("beyond", 1, []))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"OpenVINO cannot read the graph.*--sampling host"):
        Classifier(tmp_path, engine="openvino")


def test_what_it_cannot_do_is_said(
    exported: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported["pointnet2-msg"]
    with pytest.raises(InputError, match="engine openvino runs on cpu, not on cuda"):
        Classifier(file, engine="openvino", device="cuda")
    with pytest.raises(InputError, match="unknown engine 'tflite'"):
        Classifier(file, engine="tflite")
    with pytest.raises(InputError, match=r"takes clouds \(B, N, 3\)"):
        openvino(file)(np.zeros((1, 48, 4), np.float32))
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"pip install 'pointcmt\[openvino\]'"):
        Classifier(file, engine="openvino")
