import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pointcmt.errors import InputError
from pointcmt.geometry import normalize
from pointcmt_serve import Classifier
from pointcmt_serve.host_indices import check_steps, host_indices
from tests.reference.tiny_student import BIAS, METADATA, POINTS, WEIGHT
from tests.serve.conftest import WriteModel

BALLS = {"xyz": "points", "centers": "fps_0", "radius": 0.4, "k": 8}
STEPS = [
    {"input": "fps_0", "op": "farthest_point_sample", "xyz": "points", "m": 16},
    {"input": "ball_0", "op": "ball_query", **BALLS},
    {"input": "fps_1", "op": "farthest_point_sample", "xyz": "fps_0", "m": 4},
    {"input": "knn_0", "op": "knn", "query": "fps_1", "points": "fps_0", "k": 3},
]


def farthest(cloud: NDArray[np.float32], m: int) -> NDArray[np.int64]:
    """(N, 3) -> (m,), written out."""
    chosen, nearest = [0], np.full(len(cloud), np.inf)
    while len(chosen) < m:
        nearest = np.minimum(nearest, ((cloud - cloud[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)


def test_steps_read_what_earlier_steps_chose(clouds: NDArray[np.float32]) -> None:
    found = host_indices(check_steps(STEPS, "test"), clouds)
    assert list(found) == ["fps_0", "ball_0", "fps_1", "knn_0"]
    for b, cloud in enumerate(clouds):
        first = farthest(cloud, 16)
        np.testing.assert_array_equal(found["fps_0"][b], first)
        second = farthest(cloud[first], 4)
        np.testing.assert_array_equal(found["fps_1"][b], second)
        gap = np.linalg.norm(cloud[first][second][:, None] - cloud[first][None], axis=2)
        np.testing.assert_array_equal(found["knn_0"][b], gap.argsort(axis=1)[:, :3])
        reach = np.linalg.norm(cloud[first][:, None] - cloud[None], axis=2)  # (16, N)
        for row, indices in zip(reach, found["ball_0"][b], strict=True):
            inside = np.flatnonzero(row < 0.4)[:8]
            assert set(indices) == set(inside)


@pytest.fixture
def sampled_model(write_model: WriteModel) -> Path:
    """logits = max over the 16 points the host chose of points @ W + b."""
    nodes = [
        helper.make_node("Unsqueeze", ["fps_0", "last"], ["expanded"]),
        helper.make_node("GatherND", ["points", "expanded"], ["chosen"], batch_dims=1),
        helper.make_node("MatMul", ["chosen", "weight"], ["scores"]),
        helper.make_node("ReduceMax", ["scores", "axis"], ["best"], keepdims=0),
        helper.make_node("Add", ["best", "bias"], ["logits"]),
    ]
    constants = {"weight": WEIGHT, "bias": BIAS, "axis": np.array([1]), "last": np.array([-1])}
    points = helper.make_tensor_value_info("points", TensorProto.FLOAT, ["B", "N", 3])
    indices = helper.make_tensor_value_info("fps_0", TensorProto.INT64, ["B", 16])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", len(BIAS)])
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "host", [points, indices], [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, METADATA | {"pointcmt.inputs": json.dumps(STEPS[:1])})
    path = write_model()
    onnx.save(model, path)
    return path


def test_a_host_sampled_model_gets_its_indices(
    sampled_model: Path, clouds: NDArray[np.float32]
) -> None:
    predictions = Classifier(sampled_model)(clouds)
    for cloud, prediction in zip(clouds, predictions, strict=True):
        prepared = normalize(cloud, "unit-sphere")
        chosen = prepared[farthest(prepared, 16)]
        expected = (chosen @ WEIGHT + BIAS).max(axis=0)
        np.testing.assert_allclose(prediction.logits, expected, atol=1e-5)


def test_inputs_that_the_metadata_do_not_state_are_refused(sampled_model: Path) -> None:
    model = onnx.load(sampled_model)
    helper.set_model_props(model, METADATA)
    onnx.save(model, sampled_model)
    with pytest.raises(InputError, match=r"takes \['fps_0', 'points'\]"):
        Classifier(sampled_model)


BAD_STEPS = {
    "no list": ({}, "no list"),
    "no object": (["fps"], "no step"),
    "no input": ([{"op": "knn"}], "no step"),
    "another op": ([{"input": "a", "op": "system"}], "no op 'system'"),
    "a dunder": ([{"input": "a", "op": "__class__"}], "no op '__class__'"),
    "unknown set": (STEPS[1:2], "fps_0"),
    "a set made later": ([STEPS[1], STEPS[0]], "fps_0"),
    "a neighbourhood as a set": ([*STEPS[:2], STEPS[3] | {"query": "ball_0"}], "ball_0"),
    "a missing argument": ([{"input": "a", "op": "knn", "query": "points", "k": 3}], "points"),
    "a further argument": ([STEPS[0] | {"n": 1}], "'n'"),
    "a size as text": ([STEPS[0] | {"m": [16]}], "'m'"),
    "a set as a list": ([STEPS[0] | {"xyz": ["points"]}], "'xyz'"),
    "an op as a list": ([STEPS[0] | {"op": ["knn"]}], "no op"),
}


@pytest.mark.parametrize("case", BAD_STEPS)
def test_steps_without_sense_are_refused(write_model: WriteModel, case: str) -> None:
    steps, sentence = BAD_STEPS[case]
    with pytest.raises(InputError, match=rf"pointcmt\.inputs.*{sentence}"):
        Classifier(write_model(inputs=json.dumps(steps)))


def test_indices_beyond_the_cloud_are_refused(sampled_model: Path) -> None:
    model = onnx.load(sampled_model)
    steps = json.dumps([STEPS[0] | {"m": 10 * POINTS}])
    helper.set_model_props(model, METADATA | {"pointcmt.inputs": steps})
    onnx.save(model, sampled_model)
    with pytest.raises(InputError, match="cannot be run"):
        Classifier(sampled_model)(np.eye(3))
