"""Each way of being the wrong artefact is caught by the gate."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from pointcmt.checkpoint import ModelConfig
from pointcmt.data import CloudDataset, Shapes
from pointcmt.models.grouped import moments
from pointcmt_export.convert.networks import deployable
from pointcmt_export.convert.to_onnx import Converted
from pointcmt_export.exporter import export
from pointcmt_export.formats import Job
from pointcmt_export.formats.onnx import write
from pointcmt_export.options import Grid, Options
from pointcmt_export.source import Source, open_source
from pointcmt_export.verify import Check, Clouds, failed, open_data
from pointcmt_export.verify.accuracy import accuracy_checks
from pointcmt_export.verify.check import EXACT, HALF, REDUCED
from pointcmt_export.verify.gate import Expectation, structure_checks, verify_runner
from pointcmt_export.verify.runners import Runner, checkpoint_runner
from pointcmt_export.verify.winners import winners_check
from pointcmt_serve.engines import Outputs
from tests.reference.small_students import small_model

Pair = tuple[Converted, Expectation]
Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def source(ssg_folder: Path) -> Source:
    return open_source(ssg_folder)


@pytest.fixture(scope="module")
def clouds(source: Source) -> Clouds:
    return open_data(None, source.config)


def verdict(model: onnx.ModelProto, expected: Expectation, clouds: Clouds, room: Path) -> set[str]:
    onnx.save(model, room / "model.onnx")
    checks = structure_checks(room / "model.onnx", expected)
    if not failed(checks):
        job = Job(model, lambda: model, room, expected, clouds, Options())
        checks += write(job)
    return {check.name for check in failed(checks)}


def weight(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def mutate_a_weight(model: onnx.ModelProto) -> None:
    tensor = weight(model, "levels.1.scales.0.middle.0.weight")
    values = numpy_helper.to_array(tensor).copy()
    values[3, 2] += 1e-3
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def swap_two_classes(model: onnx.ModelProto) -> None:
    tensor = weight(model, "head.classifier.weight")
    values = numpy_helper.to_array(tensor)[[1, 0, 2, 3, 4]]
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def swap_two_class_names(model: onnx.ModelProto) -> None:
    entry = next(p for p in model.metadata_props if p.key == "pointcmt.classes")
    entry.value = (
        entry.value.replace("cone", "CUBE").replace("cube", "cone").replace("CUBE", "cube")
    )


def make_points_static(model: onnx.ModelProto) -> None:
    dimension = model.graph.input[0].type.tensor_type.shape.dim[1]
    dimension.Clear()
    dimension.dim_value = 48


def perturb_an_index(model: onnx.ModelProto) -> None:
    """Widen the radius of a ball, a constant of the graph that is no weight."""
    limit = np.float32(0.2) * np.float32(0.2)
    for attribute in (a for node in model.graph.node for a in node.attribute):
        if attribute.name == "value_float" and np.isclose(attribute.f, limit):
            attribute.f *= 1.5
            return
    raise AssertionError("no ball radius in the graph")


def add_a_teacher_weight(model: onnx.ModelProto) -> None:
    values = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, "teacher.conv1.weight"))


def hide_a_teacher_weight_in_a_node(model: onnx.ModelProto) -> None:
    values = np.random.default_rng(0).normal(size=40).astype(np.float32)
    node = onnx.helper.make_node("Constant", [], ["hidden"], value=numpy_helper.from_array(values))
    model.graph.node.insert(0, node)


def use_an_operator_of_ones_own(model: onnx.ModelProto) -> None:
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))


def change_the_normalisation(model: onnx.ModelProto) -> None:
    next(p for p in model.metadata_props if p.key == "pointcmt.normalization").value = "none"


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (mutate_a_weight, "structure"),
        (swap_two_classes, "structure"),
        (swap_two_class_names, "interface"),
        (make_points_static, "interface"),
        (perturb_an_index, "indices"),
        (add_a_teacher_weight, "structure"),
        (hide_a_teacher_weight_in_a_node, "structure"),
        (use_an_operator_of_ones_own, "interface"),
        (change_the_normalisation, "interface"),
    ],
)
def test_a_changed_artefact_is_caught(
    converted: Pair,
    clouds: Clouds,
    tmp_path: Path,
    change: Change,
    check: str,
) -> None:
    graph, expected = converted
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    change(model)
    assert check in verdict(model, expected, clouds, tmp_path)


def test_the_unchanged_artefact_passes(converted: Pair, clouds: Clouds, tmp_path: Path) -> None:
    graph, expected = converted
    assert verdict(graph.model, expected, clouds, tmp_path) == set()


def test_another_students_artefact_is_caught(
    converted: Pair, clouds: Clouds, tmp_path: Path
) -> None:
    """The same network with other weights: by its weights, and by its logits alone."""
    graph, expected = converted
    student = open_source(small_model(tmp_path / "other", "pointnet2-ssg", seed=1)).student
    other = replace(expected, student=student, weights=deployable(student).state_dict())
    assert verdict(graph.model, other, clouds, tmp_path) == {"structure"}
    careless = replace(other, weights=expected.weights)
    assert "logits" in verdict(graph.model, careless, clouds, tmp_path)


def outcome(checks: list[Check]) -> set[str]:
    return {check.name for check in failed(checks)}


def changed(runner: Runner, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Runner:
    def run(points: NDArray[np.float32], indices: bool) -> Outputs:
        given = runner(points, indices)
        return Outputs(change(given.logits), given.indices)

    return run


@pytest.mark.parametrize(
    ("change", "caught"),
    [
        (lambda logits: logits, set()),
        (lambda logits: logits + np.float32(2e-4), {"logits"}),
        (lambda logits: np.roll(logits, 1, axis=1), {"logits", "argmax"}),
        (lambda logits: logits * np.float32(np.nan), {"logits", "argmax"}),
        (lambda logits: logits[:, :-1], {"logits", "argmax"}),
    ],
    ids=["equal", "shifted", "classes turned", "not a number", "a class short"],
)
def test_wrong_logits_are_caught_without_a_look_at_the_weights(
    converted: Pair,
    clouds: Clouds,
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    caught: set[str],
) -> None:
    _, expected = converted
    runner = changed(checkpoint_runner(expected.student), change)
    assert outcome(verify_runner(runner, expected, clouds)) == caught


def test_one_wrong_index_is_caught(converted: Pair, clouds: Clouds) -> None:
    _, expected = converted
    honest = checkpoint_runner(expected.student)

    def runner(points: NDArray[np.float32], indices: bool) -> Outputs:
        given = honest(points, True)
        wrong = given.indices["ball_query_1"].copy()
        wrong[0, 0, 0] ^= 1
        return Outputs(given.logits, {**given.indices, "ball_query_1": wrong})

    assert outcome(verify_runner(runner, expected, clouds)) == {"indices"}


def test_a_loss_of_accuracy_is_caught(source: Source) -> None:
    """Equal logits on a few clouds, but a worse classifier on the data set."""
    data = Shapes("test", per_class=2, points=48)
    clouds = Clouds(data, data, ModelConfig("pointnet", {}, data.classes, 48))

    def right(points: NDArray[np.float32], indices: bool) -> Outputs:
        start = next(i for i in range(len(data)) if np.array_equal(data.points[i], points[0]))
        return Outputs(np.eye(12, dtype=np.float32)[data.labels[start : start + len(points)]])

    def wrong(points: NDArray[np.float32], indices: bool) -> Outputs:
        logits = right(points, indices).logits.copy()
        logits[0] = np.roll(logits[0], 1)
        return Outputs(logits)

    assert outcome(accuracy_checks(right, right, clouds, EXACT)) == set()
    for checkpoint, artefact in ((right, wrong), (wrong, right)):  # a gain is a difference, too
        assert outcome(accuracy_checks(checkpoint, artefact, clouds, EXACT)) == {"accuracy"}
    for rounded in (HALF, REDUCED):
        assert outcome(accuracy_checks(right, wrong, clouds, rounded)) == {"accuracy"}
        assert outcome(accuracy_checks(wrong, right, clouds, rounded)) == set()


def test_accuracy_and_speed_are_told_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine clouds of one class and one of another, of which the artefact gets the latter wrong."""
    points = np.random.default_rng(0).uniform(-1, 1, (10, 8, 3)).astype(np.float32)
    data = CloudDataset("made", ("a", "b"), points, [0] * 9 + [1], [str(i) for i in range(10)])
    clouds = Clouds(data, data, ModelConfig("pointnet", {}, data.classes, 8))

    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr("pointcmt_export.verify.accuracy.time", clock)

    def answers(labels: NDArray[np.int64], seconds: float) -> Runner:
        def run(points: NDArray[np.float32], indices: bool) -> Outputs:
            now[0] += seconds
            return Outputs(np.eye(2, dtype=np.float32)[labels])

        return run

    checkpoint, artefact = answers(data.labels, 0.5), answers(np.zeros(10, int), 0.25)
    accuracy, speed = accuracy_checks(checkpoint, artefact, clouds, EXACT)
    assert accuracy.figures["checkpoint"] == {"oa": 100.0, "macc": 100.0}
    assert accuracy.figures["artefact"] == pytest.approx({"oa": 90.0, "macc": 50.0})
    assert accuracy.figures["agreement"] == pytest.approx(0.9)
    assert "OA 90.00 % beside 100.00 %, mAcc 50.00 % beside 100.00 %" in accuracy.detail
    assert speed.figures["samples_per_s"] == {"checkpoint": 20.0, "artefact": 40.0}
    assert speed.figures["speedup"] == 2
    wanted = replace(EXACT, accuracy_points=11, speedup=1.5)
    assert outcome(accuracy_checks(checkpoint, artefact, clouds, wanted)) == {"accuracy"}  # mAcc
    slower = accuracy_checks(artefact, checkpoint, clouds, wanted)
    assert outcome(slower) == {"accuracy", "speed"}


def test_winners_of_another_network_are_caught(
    converted: Pair, source: Source, tmp_path: Path
) -> None:
    """Its own winners are the student's to the last; those that another student has are not."""
    graph, expected = converted
    onnx.save(graph.model, tmp_path / "model.onnx")
    cloud = np.random.default_rng(0).uniform(-1, 1, (2, 64, 3)).astype(np.float32)
    check = winners_check(tmp_path / "model.onnx", expected.student, cloud, EXACT)
    assert check.status == "passed"
    assert check.figures["right"] == check.figures["winners"] > 0
    other = open_source(small_model(tmp_path / "other", "pointnet2-ssg", seed=1)).student
    assert winners_check(tmp_path / "model.onnx", other, cloud, EXACT).status == "failed"


def test_winners_are_found_where_the_student_takes_few_groups_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments, "CHUNK_BYTES", 2000)
    model = small_model(tmp_path / "model", "rscnn")
    report = export(model, tmp_path / "out", Options(grid=Grid((2,), (64,))))
    assert {check.name: check.status for check in report.checks}["winners"] == "passed"
