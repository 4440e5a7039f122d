import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from pointcmt.errors import InputError
from pointcmt_serve import Classifier
from tests.reference.tiny_student import CLASSES, METADATA, WEIGHT, tiny_model
from tests.serve.conftest import WriteModel


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Classifier(tmp_path / "absent.onnx")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no model\.onnx"):
        Classifier(tmp_path)


def test_a_checkpoint_is_to_be_exported_first(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(InputError, match="pointcmt-export"):
        Classifier(tmp_path / "model.safetensors")


def test_an_engine_points_to_the_model_beside_it(tmp_path: Path) -> None:
    (tmp_path / "model.engine").write_bytes(b"ftrt")
    with pytest.raises(InputError, match=r"model\.onnx beside it"):
        Classifier(tmp_path / "model.engine")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(InputError, match="empty"):
        Classifier(tmp_path)


def test_a_file_too_large_for_onnx_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "model.onnx").open("wb") as file:
        file.truncate(2**31 + 1)  # sparse: takes no room on the disk
    with pytest.raises(InputError, match="at most 2147483648"):
        Classifier(tmp_path)


@pytest.mark.parametrize("open_it", [Path, lambda folder: folder / "model.onnx"])
def test_another_file_than_the_report_beside_it_lists_is_refused(
    model: Path, open_it: Callable[[Path], Path]
) -> None:
    place = open_it(model.parent)
    report = model.with_name("export_report.json")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    for text in ("{", "[]", '{"files": {}}', json.dumps({"files": {"model.onnx": digest}})):
        report.write_text(text)
        Classifier(place)
    onnx.save(tiny_model(METADATA, -WEIGHT), model)
    with pytest.raises(InputError, match=r"is not the file that the export_report\.json beside it"):
        Classifier(place)


@pytest.mark.parametrize("content", [b"not a model", bytes(range(256)) * 40, b"\x80\x04."])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(InputError, match="no ONNX file"):
        Classifier(tmp_path)


def test_a_file_cut_anywhere_is_refused(model: Path, tmp_path: Path) -> None:
    whole = model.read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(1, len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(InputError):
            Classifier(cut)


@pytest.mark.parametrize(
    "key", ["classes", "points", "normalization", "student", "version", "provenance"]
)
def test_an_onnx_file_of_another_tool_is_refused(write_model: WriteModel, key: str) -> None:
    with pytest.raises(InputError, match=rf"no whole export .*pointcmt\.{key}"):
        Classifier(write_model(**{key: None}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", "cone,cube"),
        ("classes", "{}"),
        ("classes", "[]"),
        ("classes", "[1, 2, 3, 4]"),
        ("classes", '["cone", "cone", "tube", "vase"]'),
        ("points", "many"),
        ("points", "0"),
        ("points", "-5"),
        ("normalization", "by-hand"),
        ("provenance", "[]"),
        ("provenance", ""),
        ("channels", "xyz"),
        ("channels", '["x", "z", "y"]'),
        ("channels", "3"),
        ("up", "z"),
        ("up", '"up"'),
    ],
)
def test_metadata_without_sense_is_refused(write_model: WriteModel, key: str, value: str) -> None:
    with pytest.raises(InputError, match=rf"metadata pointcmt\.{key}"):
        Classifier(write_model(**{key: value}))


def test_as_many_logits_as_classes(write_model: WriteModel) -> None:
    with pytest.raises(InputError, match="not one logit for each of its 3 classes"):
        Classifier(write_model(classes=json.dumps(CLASSES[:3])))


def test_another_input_than_points_is_refused(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 3, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 3, 8, 8])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["logits"])], "net", [image], [logits]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, METADATA)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"takes \['image'\]"):
        Classifier(tmp_path)


def test_a_logit_that_is_not_finite_is_no_answer(tmp_path: Path) -> None:
    broken = np.full_like(WEIGHT, np.nan)
    onnx.save(tiny_model(METADATA, broken), tmp_path / "model.onnx")
    with pytest.raises(InputError, match="not finite"):
        Classifier(tmp_path)(np.eye(3))


def test_cuda_without_its_runtime_is_refused(model: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(InputError, match="onnxruntime-gpu"):
        Classifier(model, device="cuda")


def test_an_older_file_takes_x_y_z_of_an_unknown_vertical_axis(model: Path) -> None:
    artefact = Classifier(model).artefact
    assert (artefact.channels, artefact.up) == (("x", "y", "z"), None)


def test_the_vertical_axis_is_read(write_model: WriteModel) -> None:
    assert Classifier(write_model(up='"-z"')).artefact.up == "-z"


def test_as_many_channels_as_the_network_takes(write_model: WriteModel) -> None:
    channels = json.dumps(["x", "y", "z", "intensity"])
    with pytest.raises(InputError, match=r"not float32 x, y, z, intensity \(B, N, 4\)"):
        Classifier(write_model(channels=channels))
