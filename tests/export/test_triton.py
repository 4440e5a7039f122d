import importlib.metadata
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from click.testing import CliRunner
from google.protobuf import text_format
from onnx import TensorProto, helper

from pointcmt.errors import InputError
from pointcmt_export.cli import main
from pointcmt_export.formats.triton import Serving, write_repository
from tests.reference.tiny_student import CLASSES, METADATA, POINTS, tiny_model


@pytest.fixture(scope="module")
def schema() -> ModuleType:
    """Triton's public `model_config.proto`, compiled, without the gRPC client around it."""
    files = importlib.metadata.files("tritonclient") or []
    path = next(file.locate() for file in files if file.name == "model_config_pb2.py")
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    folder = tmp_path / "exported"
    folder.mkdir()
    onnx.save(tiny_model(METADATA), folder / "model.onnx")
    return folder


def read_config(schema: ModuleType, folder: Path) -> Any:
    return text_format.Parse((folder / "config.pbtxt").read_text(), schema.ModelConfig())


def test_the_configuration_keeps_the_public_schema(
    schema: ModuleType, artefact: Path, tmp_path: Path
) -> None:
    folder = write_repository(artefact, tmp_path / "models")
    config = read_config(schema, folder)
    assert (
        (config.name, config.platform)
        == (folder.name, "onnxruntime_onnx")
        == ("tiny", config.platform)
    )
    (points,), (logits,) = config.input, config.output
    assert (points.name, list(points.dims)) == ("points", [-1, 3])
    assert (logits.name, list(logits.dims)) == ("logits", [len(CLASSES)])
    assert points.data_type == logits.data_type == schema.TYPE_FP32
    assert config.max_batch_size == 32
    assert list(config.dynamic_batching.preferred_batch_size) == [8, 32]
    assert config.instance_group[0].kind == schema.ModelInstanceGroup.KIND_AUTO
    assert list(config.model_warmup[0].inputs["points"].dims) == [POINTS, 3]
    assert config.parameters["pointcmt.normalization"].string_value == "unit-sphere"
    assert config.parameters["pointcmt.channels"].string_value == "x, y, z"


def test_the_repository_has_tritons_layout(artefact: Path, tmp_path: Path) -> None:
    folder = write_repository(artefact, tmp_path / "models", name="shapes")
    files = {str(p.relative_to(tmp_path / "models")) for p in folder.rglob("*") if p.is_file()}
    assert files == {"shapes/config.pbtxt", "shapes/labels.txt", "shapes/1/model.onnx"}
    assert (folder / "1/model.onnx").read_bytes() == (artefact / "model.onnx").read_bytes()


def test_labels_are_in_the_order_of_the_logits(
    schema: ModuleType, artefact: Path, tmp_path: Path
) -> None:
    folder = write_repository(artefact, tmp_path)
    named = read_config(schema, folder).output[0].label_filename
    assert (folder / named).read_text().splitlines() == list(CLASSES)


def test_the_model_that_triton_gets_has_the_configured_tensors(
    schema: ModuleType, artefact: Path, tmp_path: Path
) -> None:
    """Triton adds the batch dimension in front of what the configuration says."""
    folder = write_repository(artefact, tmp_path)
    config = read_config(schema, folder)
    graph = onnx.load(folder / "1" / "model.onnx").graph
    pairs = zip((*config.input, *config.output), (*graph.input, *graph.output), strict=True)
    for ours, theirs in pairs:
        dims = [d.dim_value or -1 for d in theirs.type.tensor_type.shape.dim]
        assert (ours.name, [-1, *ours.dims]) == (theirs.name, dims)


@pytest.mark.parametrize(
    ("largest", "preferred"), [(1, [1]), (8, [8]), (20, [8, 20]), (64, [8, 32, 64])]
)
def test_no_preferred_batch_exceeds_the_largest(
    schema: ModuleType, artefact: Path, tmp_path: Path, largest: int, preferred: list[int]
) -> None:
    folder = write_repository(artefact, tmp_path, serving=Serving(max_batch=largest))
    config = read_config(schema, folder)
    assert list(config.dynamic_batching.preferred_batch_size) == preferred


def test_serving_options_reach_the_configuration(
    schema: ModuleType, artefact: Path, tmp_path: Path
) -> None:
    serving = Serving(max_batch=4, delay_us=50, instances=3, device="gpu")
    config = read_config(schema, write_repository(artefact, tmp_path, serving=serving))
    assert config.dynamic_batching.max_queue_delay_microseconds == 50
    assert config.instance_group[0].count == 3
    assert config.instance_group[0].kind == schema.ModelInstanceGroup.KIND_GPU


def test_an_engine_becomes_a_plan(schema: ModuleType, artefact: Path, tmp_path: Path) -> None:
    (artefact / "model.engine").write_bytes(b"engine")
    folder = write_repository(artefact, tmp_path / "models", payload="plan")
    assert (folder / "1" / "model.plan").read_bytes() == b"engine"
    assert read_config(schema, folder).platform == "tensorrt_plan"


def test_a_plan_without_an_engine_is_refused(artefact: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no model\.engine"):
        write_repository(artefact, tmp_path / "models", payload="plan")
    assert not (tmp_path / "models").exists()


def test_any_text_survives_the_text_format(
    schema: ModuleType, artefact: Path, tmp_path: Path
) -> None:
    odd = '0.1 "quoted" \\ und Ü'
    onnx.save(tiny_model(METADATA | {"pointcmt.version": odd}), artefact / "model.onnx")
    config = read_config(schema, write_repository(artefact, tmp_path))
    assert config.parameters["pointcmt.version"].string_value == odd


def test_a_students_own_class_gets_a_usable_name(artefact: Path, tmp_path: Path) -> None:
    onnx.save(tiny_model(METADATA | {"pointcmt.student": "my.nets:Net"}), artefact / "model.onnx")
    assert write_repository(artefact, tmp_path).name == "my.nets-Net"


@pytest.mark.parametrize("name", ["../up", "a/b", " ", "-x"])
def test_a_name_that_triton_refuses_is_refused(artefact: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no name for a Triton model"):
        write_repository(artefact, tmp_path / "models", name=name)


def test_a_graph_that_needs_the_host_is_refused(artefact: Path, tmp_path: Path) -> None:
    model = tiny_model(METADATA)
    indices = helper.make_tensor_value_info("ball_query_0", TensorProto.INT64, ["B", 8, 4])
    model.graph.input.append(indices)
    onnx.save(model, artefact / "model.onnx")
    with pytest.raises(InputError, match="--sampling graph"):
        write_repository(artefact, tmp_path / "models")


def test_a_class_name_of_two_lines_is_refused(artefact: Path, tmp_path: Path) -> None:
    classes = json.dumps(["a\nb", *CLASSES[1:]])
    onnx.save(tiny_model(METADATA | {"pointcmt.classes": classes}), artefact / "model.onnx")
    with pytest.raises(InputError, match="one line"):
        write_repository(artefact, tmp_path / "models")


@pytest.mark.parametrize(
    "options",
    [
        {"max_batch": 0},
        {"instances": 0},
        {"delay_us": -1},
        {"max_batch": 2**31},
        {"delay_us": 2**64},
    ],
)
def test_serving_options_without_sense_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        Serving(**options)


def test_a_repository_may_hold_other_models(artefact: Path, tmp_path: Path) -> None:
    write_repository(artefact, tmp_path / "models", name="one")
    write_repository(artefact, tmp_path / "models", name="two")
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == ["one", "two"]


def test_writing_again_replaces_the_model(artefact: Path, tmp_path: Path) -> None:
    folder = write_repository(artefact, tmp_path)
    (folder / "leftover").touch()
    write_repository(artefact, tmp_path)
    assert not (folder / "leftover").exists()


def test_a_folder_that_is_no_model_of_ours_is_kept(artefact: Path, tmp_path: Path) -> None:
    for name, file in (("checkpoint", "model.safetensors"), ("other-network", "config.pbtxt")):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / file).write_text('name: "of somebody else"')
    before = sorted((tmp_path / "models").rglob("*"))
    for name, clouds in (("checkpoint", "prepared"), ("other", "raw")):
        with pytest.raises(InputError, match="something other than a Triton model"):
            write_repository(artefact, tmp_path / "models", name=name, clouds=clouds)
    assert sorted((tmp_path / "models").rglob("*")) == before


@pytest.mark.parametrize(
    ("batch", "sentence"),
    [
        ([1, 8, 16], "1 to 16 clouds at once, not for 1 to 32"),
        ([2, 8, 64], "2 to 64"),
        (3, "no rea"),
    ],
)
def test_a_plan_holds_the_batches_that_triton_makes(
    batch: Any, sentence: str, artefact: Path, tmp_path: Path
) -> None:
    (artefact / "model.engine").write_bytes(b"engine")
    (artefact / "model.engine.json").write_text(json.dumps({"profile": {"batch": batch}}))
    with pytest.raises(InputError, match=sentence):
        write_repository(artefact, tmp_path / "models", payload="plan")
    assert not (tmp_path / "models").exists()


def test_raw_clouds_go_through_an_ensemble(
    schema: ModuleType, artefact: Path, tmp_path: Path
) -> None:
    words = ["triton", str(artefact), "-o", str(tmp_path / "models"), "--name", "shapes"]
    done = CliRunner().invoke(main, [*words, "--max-batch", "16", "--instances", "2"])
    assert (done.exit_code, done.output.strip()) == (0, str(tmp_path / "models" / "shapes"))
    names = ("shapes", "shapes-prepare", "shapes-network")
    whole, first, second = (read_config(schema, tmp_path / "models" / name) for name in names)
    assert (whole.platform, first.backend, second.platform) == (
        "ensemble",
        "python",
        "onnxruntime_onnx",
    )
    steps = whole.ensemble_scheduling.step
    assert [step.model_name for step in steps] == ["shapes-prepare", "shapes-network"]
    assert dict(steps[0].input_map) == {"points": whole.input[0].name}
    assert steps[0].output_map[first.output[0].name] == steps[1].input_map[second.input[0].name]
    assert dict(steps[1].output_map) == {second.output[0].name: whole.output[0].name}
    assert list(first.output[0].dims) == [POINTS, 3]
    assert {config.max_batch_size for config in (whole, first, second)} == {16}
    assert [config.instance_group[0].count for config in (first, second)] == [2, 2]
    assert first.instance_group[0].kind == schema.ModelInstanceGroup.KIND_CPU
    assert all((tmp_path / "models" / name / "1").is_dir() for name in names)


def test_a_plan_may_stand_behind_raw_clouds(
    schema: ModuleType, artefact: Path, tmp_path: Path
) -> None:
    (artefact / "model.engine").write_bytes(b"engine")
    write_repository(artefact, tmp_path / "models", payload="plan", clouds="raw", name="a")
    assert read_config(schema, tmp_path / "models" / "a-network").platform == "tensorrt_plan"
    assert (tmp_path / "models" / "a-network" / "1" / "model.plan").read_bytes() == b"engine"


def test_the_python_backend_takes_what_the_host_samples(artefact: Path, tmp_path: Path) -> None:
    model = tiny_model(METADATA)
    indices = helper.make_tensor_value_info("ball_query_0", TensorProto.INT64, ["B", 8, 4])
    model.graph.input.append(indices)
    onnx.save(model, artefact / "model.onnx")
    place = write_repository(artefact, tmp_path / "models", payload="python")
    assert {p.name for p in (place / "1").iterdir()} == {"model.onnx", "model.py"}


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_python_backend_is_told_its_engine(
    schema: ModuleType, artefact: Path, tmp_path: Path, engine: str
) -> None:
    serving = Serving(engine=engine)
    place = write_repository(artefact, tmp_path / "models", payload="python", serving=serving)
    assert read_config(schema, place).parameters["pointcmt.engine"].string_value == engine


def test_an_unknown_engine_is_refused(artefact: Path, tmp_path: Path) -> None:
    words = [str(artefact), "-o", str(tmp_path / "models"), "--payload", "python"]
    done = CliRunner().invoke(main, ["triton", *words, "--engine", "magic"])
    assert (done.exit_code, "unknown engine 'magic'" in done.stderr) == (1, True)
    done = CliRunner().invoke(main, ["triton", *words[:3], "--engine", "openvino"])
    assert (done.exit_code, "is for --payload python" in done.stderr) == (1, True)
    assert not (tmp_path / "models").exists()
