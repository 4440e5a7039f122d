"""Which points decided: by hand on tiny networks, and end to end on the shipped student."""

import json
import pickle
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import turn
from pointcmt_serve import Classifier
from pointcmt_serve.commands.classify import main
from pointcmt_serve.engines.further_outputs import further_outputs
from pointcmt_serve.explain.critical import CriticalPoints, critical_points
from pointcmt_serve.explain.maxima import Maxima, Maximum, check_maxima
from pointcmt_serve.explain.picture import picture
from pointcmt_serve.explain.winners import shares
from pointcmt_serve.prediction import Prediction
from tests.reference.tiny_student import CLASSES, POINTS, TOLD, WEIGHT
from tests.serve.conftest import WriteModel


@pytest.fixture
def telling(write_model: WriteModel) -> Path:
    return write_model(explain=json.dumps(TOLD))


def test_the_winners_of_the_maximum_are_the_critical_points(
    telling: Path, clouds: NDArray[np.float32]
) -> None:
    for cloud, prediction in zip(clouds, Classifier(telling)(clouds), strict=True):
        critical = prediction.critical_points()
        winners = (cloud @ WEIGHT).argmax(axis=0)
        counts = np.bincount(winners, minlength=POINTS) / len(CLASSES)
        assert sorted(critical.indices.tolist()) == np.flatnonzero(counts).tolist()
        np.testing.assert_allclose(critical.share, counts[critical.indices])
        assert (np.diff(critical.share) <= 0).all()
        np.testing.assert_allclose(critical.points, cloud[critical.indices], atol=1e-6)


@pytest.mark.parametrize("size", [POINTS * 3 + 1, POINTS // 2 - 3], ids=["many", "few"])
def test_indices_count_in_the_given_cloud(telling: Path, size: int) -> None:
    """Whatever was left out or repeated to bring the cloud to the network's number of points."""
    cloud = np.random.default_rng(3).normal(size=(size, 3))
    (prediction,) = Classifier(telling)([cloud])
    critical = prediction.critical_points()
    middle = cloud.mean(axis=0)
    scale = np.linalg.norm(cloud - middle, axis=1).max()
    expected = (cloud[critical.indices] - middle) / scale
    np.testing.assert_allclose(critical.points, expected, atol=1e-5)
    assert critical.share.sum() == pytest.approx(1)
    assert len(set(critical.indices.tolist())) == len(critical)


def test_a_turned_cloud_is_explained_as_the_network_saw_it(
    write_model: WriteModel, clouds: NDArray[np.float32]
) -> None:
    path = write_model(explain=json.dumps(TOLD), up=json.dumps("y"))
    (plain,) = Classifier(path)(clouds[0])
    (turned,) = Classifier(path, up="x")(turn(clouds[0], "y", "x"))
    expected, critical = plain.critical_points(), turned.critical_points()
    np.testing.assert_array_equal(critical.indices, expected.indices)
    np.testing.assert_allclose(critical.cloud, expected.cloud, atol=1e-6)


def test_a_share_is_handed_down_to_the_winners_of_the_groups() -> None:
    """Four points, two centres (points 2 and 0) with two neighbours each, two channels."""
    maxima = Maxima(
        (
            Maximum("grouped", "pooled", 1, "near", "points", "centres"),
            Maximum("whole", "best", 1, None, "centres", None),
        ),
        {"centres": "points"},
    )
    told = {
        "centres": np.array([[2, 0]]),
        "near": np.array([[[2, 3], [0, 1]]]),
        "grouped": np.array([[[5.0, 1], [4, 2]], [[0, 7], [1, 7]]]),  # (M, k, C)
        "pooled": np.array([[5.0, 2], [0, 7]]),  # the second centre's first channel was clamped
        "whole": np.array([[[1.0, 9, 4, 0], [3, 8, 2, 0]]]),  # (B, M, C)
        "best": np.array([[3.0, 9, 4, 0]]),  # the last channel was clamped
    }
    # Of three channels one goes to the second centre, which hands it to point 0 (the first of
    # equals); two to the first centre, a half each to points 2 and 3.
    last = maxima.last
    assert last is not None
    np.testing.assert_allclose(shares(maxima, last, told, 4), [[1 / 3, 0, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("kept", [1, 0], ids=["kept", "all clamped"])
def test_channels_may_come_before_the_rows_and_all_count_where_all_are_clamped(kept: int) -> None:
    one = Maximum("v", "k", 2, None, "points", None)
    told = {"v": np.array([[[1.0, 5, 2], [9, 0, 3]]]), "k": np.full((1, 2), kept)}
    np.testing.assert_allclose(shares(Maxima((one,), {}), one, told, 3), [[0.5, 0.5, 0]])


def test_shares_of_a_repeated_point_add_up() -> None:
    origin = np.array([0, 1, 0, 2])
    cloud = np.eye(3, dtype=np.float32)[origin]
    found = critical_points(np.array([0.25, 0.25, 0.5, 0]), cloud, origin)
    assert (found.indices.tolist(), found.share.tolist()) == ([0, 1], [0.75, 0.25])
    np.testing.assert_array_equal(found.points, cloud[:2])


def test_a_near_point_is_drawn_over_a_far_one() -> None:
    front_and_back = np.array([[0, 0, 1], [0, 0, -1]], np.float32)
    for near in (0, 1):  # the point with the greater share
        cloud = front_and_back[[near, 1 - near]]
        drawn = CriticalPoints(np.arange(2), np.array([0.9, 0.1]), cloud, cloud)
        circles = ElementTree.fromstring(picture(drawn, "y", "a"))[-4:]  # noqa: S314
        radii = [float(circle.attrib["r"]) for circle in circles[-2:]]
        assert (radii[0] < radii[1]) == (near == 0)


def test_a_prediction_explains_itself_in_another_process(
    telling: Path, clouds: NDArray[np.float32]
) -> None:
    (prediction,) = Classifier(telling)(clouds[0])
    (sent,) = pickle.loads(pickle.dumps([prediction]))  # noqa: S301
    np.testing.assert_array_equal(
        sent.critical_points().indices, prediction.critical_points().indices
    )


def test_a_file_that_says_nothing_is_one_sentence(model: Path, clouds: NDArray[np.float32]) -> None:
    (prediction,) = Classifier(model)(clouds[0])
    with pytest.raises(InputError, match=r"does not tell which points decide; export the model"):
        prediction.critical_points()


def test_a_network_without_a_maximum_is_one_sentence(
    write_model: WriteModel, clouds: NDArray[np.float32]
) -> None:
    path = write_model(explain=json.dumps({"maxima": [], "samples": {}}))
    (prediction,) = Classifier(path)(clouds[0])
    with pytest.raises(InputError, match="no maximum over the points"):
        prediction.critical_points()


def test_a_prediction_of_ones_own_is_one_sentence() -> None:
    with pytest.raises(InputError, match="not made by a Classifier"):
        Prediction(np.zeros(2, np.float32), ("a", "b")).critical_points()


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (3, "does not describe maxima"),
        ({"maxima": [{}], "samples": {}}, "does not describe maxima"),
        ({"maxima": [{**TOLD["maxima"][0], "values": 3}], "samples": {}}, "is no text"),  # type: ignore[index]
        ({"maxima": [{**TOLD["maxima"][0], "axis": "1"}], "samples": {}}, "axis is not 1 or 2"),  # type: ignore[index]
        ({"maxima": [{**TOLD["maxima"][0], "rows": "x"}], "samples": {}}, "no step chose"),  # type: ignore[index]
        ({"maxima": [], "samples": {"a": "b"}}, "a samples b, which no earlier step chose"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(told: object, sentence: str) -> None:
    with pytest.raises(InputError, match=f"^model.onnx: .*{sentence}"):
        check_maxima(told, "model.onnx")


def test_a_tensor_that_is_not_there_is_one_sentence(
    write_model: WriteModel, clouds: NDArray[np.float32]
) -> None:
    told = {"maxima": [{**TOLD["maxima"][0], "values": "gone"}], "samples": {}}  # type: ignore[index]
    (prediction,) = Classifier(write_model(explain=json.dumps(told)))(clouds[0])
    with pytest.raises(InputError, match=r"is no ONNX file onnxruntime can run"):
        prediction.critical_points()


def test_outputs_are_added_as_protobuf_reads_them(model: Path) -> None:
    names = ["scores", "best", "a" * 200]
    shown = onnx.load_from_string(model.read_bytes() + further_outputs(names))
    assert [output.name for output in shown.graph.output] == ["logits", *names]
    assert len(shown.graph.node) == len(onnx.load(model).graph.node)


def test_the_command_writes_arrays_and_a_picture(telling: Path, tmp_path: Path) -> None:
    cloud = np.random.default_rng(0).normal(size=(100, 3))
    np.save(tmp_path / "a & b.npy", cloud)
    out = tmp_path / "why"
    given = CliRunner().invoke(
        main, [str(telling), str(tmp_path / "a & b.npy"), "--explain", str(out)]
    )
    assert given.exit_code == 0, given.output
    assert sorted(path.name for path in out.iterdir()) == ["a & b.npy.npz", "a & b.npy.svg"]
    arrays = np.load(out / "a & b.npy.npz")
    assert arrays["cloud"].shape == (POINTS, 3)
    (prediction,) = Classifier(telling)([cloud.astype(np.float32)])
    np.testing.assert_array_equal(arrays["indices"], prediction.critical_points().indices)
    svg = ElementTree.fromstring((out / "a & b.npy.svg").read_text())  # noqa: S314
    circles = svg.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == POINTS + len(arrays["indices"])
    places = [float(c.attrib[axis]) for c in circles for axis in ("cx", "cy")]
    assert min(places) >= 0
    assert max(places) <= 480 + 44
    assert svg[0].text == f"a & b.npy: {prediction.label} {prediction.probability:.3f}"


def test_two_files_of_one_name_are_not_explained_at_once(telling: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "x.npy", np.eye(3))
    given = CliRunner().invoke(
        main, [str(telling), str(tmp_path / "a"), str(tmp_path / "b"), "--explain", "why"]
    )
    assert given.exit_code == 1
    assert "2 files are called x.npy" in given.output
