import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import normalize, resample
from pointcmt_serve import Candidate, Classifier, Prediction
from tests.reference.tiny_student import CLASSES, POINTS, reference_logits

Clouds = NDArray[np.float32]


def test_logits_are_those_of_the_network(model: Path, clouds: Clouds) -> None:
    predictions = Classifier(model)(clouds)
    logits = np.stack([p.logits for p in predictions])
    np.testing.assert_allclose(logits, reference_logits(clouds), atol=1e-5)


def test_probabilities_are_the_softmax_of_the_logits(model: Path, clouds: Clouds) -> None:
    (prediction,) = Classifier(model)(clouds[0])
    weights = np.exp(reference_logits(clouds[:1])[0].astype(np.float64))
    np.testing.assert_allclose(prediction.probabilities, weights / weights.sum(), atol=1e-6)
    assert prediction.index == int(weights.argmax())
    assert prediction.label == CLASSES[prediction.index]
    assert prediction.probability == prediction.probabilities.max()


def test_top_ranks_the_classes_and_stops_at_their_number(model: Path, clouds: Clouds) -> None:
    (prediction,) = Classifier(model)(clouds[0])
    best = prediction.top(3)
    assert [c.index for c in best] == list(np.argsort(-prediction.logits)[:3])
    assert best[0] == Candidate(prediction.label, prediction.index, prediction.probability)
    assert len(prediction.top(99)) == len(CLASSES)
    for k, reason in ((0, "k is 0; ask for 1 or more"), (1.5, "k is 1.5, no whole number")):
        with pytest.raises(InputError, match=reason):
            prediction.top(k)  # type: ignore[arg-type]


def test_ties_go_to_the_lowest_index() -> None:
    tied = Prediction(np.array([1, 2, 2, 1], np.float32), ("a", "b", "c", "d"))
    assert [candidate.label for candidate in tied.top(4)] == ["b", "c", "a", "d"]
    assert tied.label == "b"


def test_an_exported_folder_stands_for_its_model(model: Path, clouds: Clouds) -> None:
    from_folder = Classifier(model.parent)(clouds)
    assert [p.label for p in from_folder] == [p.label for p in Classifier(model)(clouds)]


def test_the_artefact_describes_itself(model: Path) -> None:
    artefact = Classifier(model).artefact
    assert (artefact.classes, artefact.points) == (CLASSES, POINTS)
    assert artefact.normalization == "unit-sphere"
    assert (artefact.student, artefact.provenance) == ("tiny", {"seed": 0})


def test_one_cloud_a_batch_and_a_list_agree(model: Path, clouds: Clouds) -> None:
    classify = Classifier(model)
    alone = [classify(cloud)[0].logits for cloud in clouds]
    np.testing.assert_allclose([p.logits for p in classify(clouds)], alone, atol=1e-6)
    np.testing.assert_allclose([p.logits for p in classify(list(clouds))], alone, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_dtype_is_taken(model: Path, clouds: Clouds, dtype: type) -> None:
    predictions = Classifier(model)(clouds.astype(dtype))
    logits = np.stack([p.logits for p in predictions])
    np.testing.assert_allclose(logits, reference_logits(clouds), atol=5e-3)


@pytest.mark.parametrize("count", [2, 3, POINTS - 1, POINTS + 1, 10 * POINTS])
def test_a_cloud_may_have_any_number_of_points(model: Path, count: int) -> None:
    cloud = np.random.default_rng(count).normal(size=(count, 3))
    classify = Classifier(model)
    assert classify.prepare(cloud).shape == (POINTS, 3)
    np.testing.assert_array_equal(classify(cloud)[0].logits, classify(cloud)[0].logits)


@pytest.mark.parametrize("count", [POINTS // 2, 3 * POINTS])
def test_a_cloud_is_normalised_as_a_whole_before_points_are_chosen(model: Path, count: int) -> None:
    cloud = np.random.default_rng(3).normal(size=(count, 3)).astype(np.float32)
    expected = resample(normalize(cloud, "unit-sphere"), POINTS)
    np.testing.assert_array_equal(Classifier(model).prepare(cloud), expected)


def test_clouds_of_different_sizes_share_a_list(model: Path) -> None:
    rng = np.random.default_rng(0)
    mixed = [rng.normal(size=(n, 3)) for n in (5, 64, 900)]
    classify = Classifier(model)
    together = [p.logits for p in classify(mixed)]
    np.testing.assert_allclose(together, [classify(c)[0].logits for c in mixed], atol=1e-6)


def test_unit_and_place_do_not_change_the_answer(model: Path, clouds: Clouds) -> None:
    """A scan in millimetres on a national grid: float32 alone would lose its shape there."""
    classify = Classifier(model)
    moved = clouds.astype(np.float64) * 1000 + [4_649_776.0, 5_300_432.0, 512.0]
    expected = [p.logits for p in classify(clouds)]
    np.testing.assert_allclose([p.logits for p in classify(moved)], expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 64])
def test_batches_do_not_change_the_answer(model: Path, clouds: Clouds, batch_size: int) -> None:
    predictions = Classifier(model, batch_size=batch_size)(clouds)
    logits = np.stack([p.logits for p in predictions])
    np.testing.assert_allclose(logits, reference_logits(clouds), atol=1e-5)


def test_the_network_never_sees_more_than_a_batch(
    model: Path, clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify, sizes = Classifier(model, batch_size=2), []
    predict = classify.predict
    monkeypatch.setattr(
        classify, "predict", lambda c, **more: (sizes.append(len(c)), predict(c, **more))[1]
    )
    classify(clouds)
    assert sizes == [2, 2, 1]


def test_no_cloud_gives_no_prediction(model: Path) -> None:
    assert Classifier(model)([]) == []
    assert Classifier(model)(np.zeros((0, 10, 3))) == []


def test_threads_may_share_a_classifier(model: Path, clouds: Clouds) -> None:
    classify = Classifier(model, threads=1)
    expected = reference_logits(clouds)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(classify, [clouds] * 40))
    for answer in answers:
        np.testing.assert_allclose([p.logits for p in answer], expected, atol=1e-5)


def test_the_callers_array_stays_as_it_was(model: Path, clouds: Clouds) -> None:
    given = clouds.copy() * 3 + 1
    before = given.copy()
    Classifier(model)(given)
    np.testing.assert_array_equal(given, before)


BAD_CLOUDS: dict[str, tuple[Callable[[], object], str]] = {
    "nan": (lambda: np.array([[0, 0, 0], [1, np.nan, 0], [1, 1, 1.0]]), "point 1 has NaN"),
    "infinite": (lambda: np.array([[0, 0, 0], [1, 1, np.inf]]), "point 1 has .*infinite"),
    "empty": (lambda: np.zeros((0, 3)), "0 points"),
    "one point": (lambda: np.ones((1, 3)), "two different points"),
    "coincident": (lambda: np.ones((9, 3)), "coincide"),
    "transposed": (lambda: np.zeros((3, 9)), "transpose"),
    "normals": (lambda: np.zeros((9, 6)), r"\(9, 6\), not \(N, 3\)"),
    "flat": (lambda: np.zeros(9), r"shape \(9,\)"),
    "four dimensions": (lambda: np.zeros((2, 2, 9, 3)), r"shape \(2, 2, 9, 3\)"),
    "complex": (lambda: np.ones((9, 3), dtype=complex), "complex128"),
    "words": (lambda: np.array([["a", "b", "c"]] * 3), "numbers"),
    "ragged": (lambda: [[[1, 2, 3], [4, 5]]], "cloud 0: is no array"),
    "nested list of one cloud": (lambda: [[1, 2, 3], [4, 5, 6]], r"cloud 0: has shape \(3,\)"),
    "huge coordinates": (lambda: np.array([[0, 0, 0], [1e300, 0, 0]]), "1e\\+300"),
    "huge cloud": (lambda: np.broadcast_to(np.float32(1), (10**11, 3)), "100000000000 points"),
    "nothing": (lambda: None, "shape"),
}


@pytest.mark.parametrize("case", BAD_CLOUDS)
def test_a_bad_cloud_is_refused_with_the_reason(model: Path, case: str) -> None:
    make, sentence = BAD_CLOUDS[case]
    with pytest.raises(InputError, match=sentence):
        Classifier(model)(make())


def test_the_bad_cloud_of_a_list_is_named(model: Path, clouds: Clouds) -> None:
    for batch_size in (2, 32):  # alone in the second batch, or the last of one
        with pytest.raises(InputError, match="cloud 2"):
            Classifier(model, batch_size=batch_size)([clouds[0], clouds[1], clouds[2] * np.nan])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"batch_size": 0}, "batch_size is 0; ask for 1 or more"),
        ({"batch_size": 1.5}, "batch_size is 1.5, no whole number"),
        ({"batch_size": "3"}, "batch_size is '3', no whole number"),
        ({"threads": -1}, "threads is -1; ask for 0 or more"),
        ({"threads": "x"}, "threads is 'x', no whole number"),
        ({"votes": 2.5}, "votes is 2.5, no whole number"),
        ({"votes": 101}, "votes is 101; ask for 1 to 100"),
    ],
)
def test_a_number_out_of_place_is_one_sentence(
    model: Path, given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        Classifier(model, **given)
    assert Classifier(model, batch_size=np.int64(2)).artefact.classes == CLASSES  # type: ignore[arg-type]


@pytest.mark.parametrize("axes", [2, 3])
def test_masked_values_are_refused(model: Path, clouds: Clouds, axes: int) -> None:
    masked = np.ma.masked_array(clouds, mask=np.zeros(clouds.shape, bool))
    labels = [p.label for p in Classifier(model)(clouds)]
    assert [p.label for p in Classifier(model)(masked)] == labels
    masked[1, 5] = np.ma.masked
    given = masked if axes == 3 else [clouds[0], masked[1]]
    named = "the points" if axes == 3 else "cloud 1"
    with pytest.raises(InputError, match=f"{named}: has 3 masked values; leave those points out"):
        Classifier(model)(given)


def test_a_copy_by_pickle_answers_alike(model: Path, clouds: Clouds) -> None:
    settings = {"device": "cpu", "batch_size": 2, "threads": 1, "votes": 3}
    classify = Classifier(model, **settings)  # type: ignore[arg-type]
    copied = pickle.loads(pickle.dumps(classify))  # noqa: S301
    assert copied._reopen.keywords == classify._reopen.keywords
    assert copied._reopen.keywords.items() >= settings.items()
    for ours, theirs in zip(classify(clouds), copied(clouds), strict=True):
        np.testing.assert_array_equal(ours.logits, theirs.logits)


def test_another_process_takes_a_classifier(
    model: Path, clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    classify = Classifier(Path(model.name), threads=1)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        answers = list(pool.map(classify, [clouds, clouds[:1]]))
    assert [len(answer) for answer in answers] == [5, 1]
    logits = np.stack([p.logits for p in answers[0]])
    np.testing.assert_allclose(logits, reference_logits(clouds), atol=1e-5)


CLASSIFY_AND_LIST_MODULES = """
import sys
import pypcd4
from pointcmt_serve.commands.classify import main

try:
    main(sys.argv[1:])
except SystemExit as done:
    assert not done.code
print(*sorted({module.split(".")[0] for module in sys.modules}))
"""


def test_classifying_a_mesh_loads_no_torch(model: Path, tmp_path: Path) -> None:
    """Torch is importable here, so only the absence of an import keeps it out."""
    face = tmp_path / "face.off"
    face.write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    command = [sys.executable, "-c", CLASSIFY_AND_LIST_MODULES, model, face]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, modules = done.stdout.splitlines()
    assert answer.startswith(f"{face}: ")
    assert "onnxruntime" in modules.split()
    assert {"torch", "onnx"}.isdisjoint(modules.split())
