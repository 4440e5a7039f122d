"""The part segmenter, on a network to compute by hand: logits = points @ W."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from scipy.spatial import cKDTree

from pointcmt.errors import InputError
from pointcmt.geometry import normalize, read_cloud, resample
from pointcmt.parts import class_channels
from pointcmt_serve import Classifier, Segmenter
from pointcmt_serve.commands.segment import main
from pointcmt_serve.segmenter import interpolate
from tests.reference.tiny_student import METADATA

PARTS = {"cup": ["wall", "handle"], "vase": ["body", "neck", "lip"]}
POINTS = 40
WEIGHT = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    channels = ["x", "y", "z", *class_channels(tuple(PARTS))]
    stated = {
        "classes": list(PARTS),
        "parts": PARTS,
        "points": POINTS,
        "channels": channels,
        "up": "y",
    }
    metadata = METADATA | {f"pointcmt.{key}": json.dumps(value) for key, value in stated.items()}
    points = helper.make_tensor_value_info("points", TensorProto.FLOAT, ["B", "N", 5])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", "N", 5])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["points", "weight"], ["logits"])],
        "tiny",
        [points],
        [logits],
        [numpy_helper.from_array(WEIGHT, "weight")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(made, metadata)
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    return path


def cloud(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32) * 7 + 3


def by_hand(seen, label):
    """Logits of prepared points (N, 3), those of the class alone."""
    told = np.tile(np.eye(2, dtype=np.float32)[label], (len(seen), 1))
    every = np.hstack([seen, told]) @ WEIGHT
    return every[:, :2] if label == 0 else every[:, 2:]


@pytest.mark.parametrize("count", [30, POINTS, 200])
def test_every_point_gets_a_part_of_the_class(model, count):
    points = cloud(count)
    prepared = normalize(points, "unit-sphere")
    seen = resample(prepared, POINTS)
    [found] = Segmenter(model)(points, "vase")
    if count <= POINTS:
        expected = by_hand(prepared, 1)
    else:
        distance, index = cKDTree(seen).query(prepared, k=3)
        weights = 1 / (distance**2 + 1e-8)
        weights /= weights.sum(axis=1, keepdims=True)
        expected = np.einsum("nk,nkc->nc", weights, by_hand(seen, 1)[index])
    np.testing.assert_allclose(found.logits, expected, atol=1e-4)
    assert found.names.tolist() == PARTS["vase"]
    assert np.array_equal(found.index, found.logits.argmax(axis=1))
    assert sum(found.shares.values()) == pytest.approx(1)
    assert "vase" in repr(found)


def test_clouds_of_several_classes_and_sizes_are_answered_in_order(model):
    clouds = [cloud(n, n) for n in (40, 55, 41)]
    together = Segmenter(model, batch_size=2)(clouds, ["cup", "vase", "cup"])
    assert [found.logits.shape for found in together] == [(40, 2), (55, 3), (41, 2)]
    [alone] = Segmenter(model)(clouds[1], "vase")
    np.testing.assert_allclose(together[1].logits, alone.logits, atol=1e-6)


def test_a_cloud_that_lies_is_turned_upright(model):
    points = cloud(POINTS)
    [plain] = Segmenter(model)(points, "cup")
    lying = points[:, [0, 2, 1]] * (1, -1, 1)  # z up
    [turned] = Segmenter(model)(lying, "cup", up="z")
    np.testing.assert_allclose(turned.logits, plain.logits, atol=1e-5)


def test_a_file_stays_as_it_is_where_the_model_states_no_axis(model, tmp_path):
    made = onnx.load(model)
    stated = {entry.key: entry.value for entry in made.metadata_props}
    helper.set_model_props(made, stated | {"pointcmt.up": "null"})
    onnx.save(made, model)
    scan = np.hstack([cloud(60), np.ones((60, 1), np.float32)])  # KITTI's, whose z is up
    scan.astype("<f4").tofile(tmp_path / "scan.bin")
    words = [str(model), str(tmp_path / "scan.bin"), "--category", "cup", "--json"]
    (record,) = json.loads(CliRunner().invoke(main, words).stdout)
    [found] = Segmenter(model)(cloud(60), "cup")
    assert record["shares"] == pytest.approx(found.shares)


def test_known_points_keep_their_values():
    known, values = cloud(9), np.arange(18.0, dtype=np.float32).reshape(9, 2)
    np.testing.assert_allclose(interpolate(known, known, values), values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("points", "category", "up", "message"),
    [
        (cloud(9), "bowl", "as-is", "class 'bowl' is unknown: use one of cup, vase"),
        ([cloud(9)] * 2, ["cup"], "as-is", "2 clouds, but 1 classes are named"),
        (cloud(9), "cup", "auto", "up is 'auto'; use one of"),
        (cloud(9) * np.nan, "cup", "as-is", "cloud 0: .*NaN"),
        (np.ones((9, 5)), "cup", "as-is", r"cloud 0: has shape \(9, 5\)"),
    ],
)
def test_bad_input_is_answered_with_one_sentence(model, points, category, up, message):
    with pytest.raises(InputError, match=message):
        Segmenter(model)(points, category, up=up)


def test_classifiers_and_segmenters_are_told_apart(model, tmp_path):
    with pytest.raises(InputError, match="parts, not classes; use pointcmt-segment or Segmenter"):
        Classifier(model)
    from tests.reference.tiny_student import tiny_model

    other = tmp_path / "other.onnx"
    onnx.save(tiny_model(METADATA), other)
    with pytest.raises(InputError, match="tells classes, not parts; open it with Classifier"):
        Segmenter(other)


def test_the_command_writes_coloured_clouds_and_names_bad_files(model, tmp_path):
    file, out = tmp_path / "a.npy", tmp_path / "out"
    np.save(file, cloud(60))
    words = [str(model), str(file), str(tmp_path / "nowhere"), "--category", "vase", "--json"]
    said = CliRunner().invoke(main, [*words, "--out", str(out)])
    first, second = json.loads(said.stdout)
    assert said.exit_code == 1
    assert "no such file or folder" in second["error"]
    [found] = Segmenter(model)(cloud(60), "vase")
    assert first["shares"] == pytest.approx(found.shares)
    written = read_cloud(out / "a.ply", ("x", "y", "z", "r", "g", "b")).points
    np.testing.assert_allclose(written[:, :3], cloud(60), atol=1e-6)
    assert len(np.unique(written[:, 3:], axis=0)) == len(set(found.index))
    assert [path.name for path in out.iterdir()] == ["a.ply"]
